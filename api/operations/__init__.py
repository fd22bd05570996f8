"""Operations: declared as data (access, answers, input, limit), served by one pipeline, documented from it."""

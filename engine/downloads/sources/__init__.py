"""The sites that videos come from: their URLs, their failures, their cookies."""

"""The least that a job costs: what each row is compared with."""

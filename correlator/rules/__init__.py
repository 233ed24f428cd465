"""The rules, one family a file: each takes a session and a subject and says what the kernel shows of it."""

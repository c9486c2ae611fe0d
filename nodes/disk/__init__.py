"""Files: atomic writes, folders with a size limit, checksums and digests of files, models and settings."""

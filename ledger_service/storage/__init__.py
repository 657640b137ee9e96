"""Where bytes are kept: a local folder, Azure Blob Storage or S3, through obstore."""

"""What an agent remembers, durable before anything leaves: the file, the memory made of it, both as one book."""

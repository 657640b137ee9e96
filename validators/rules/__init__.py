"""What an organisation judges by: the case as checked, and a policy of small named rules."""

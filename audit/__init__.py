"""For the auditor: offline, alone, on the domain only."""

"""What runs beside the machine: simulator, detectors, evidence packing."""

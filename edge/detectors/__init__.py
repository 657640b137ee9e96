"""Detectors: an ONNX file and a card that names it; the same code runs at the edge and in each agent."""

from edge.detectors.run import Detector, Scored, load

__all__ = ["Detector", "Scored", "load"]

"""Changing which version answers: the record that replicas follow, and the moves that people, the gate and limits make."""

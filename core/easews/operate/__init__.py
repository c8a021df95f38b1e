"""A config being served, and the process around it.

gateway  services, generation and listeners, started and stopped in order
process  limits, signals, exit status
"""

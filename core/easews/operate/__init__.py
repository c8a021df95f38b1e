"""A config being served, and the process around it.

gateway  services, generation and listeners, started and stopped in order
reload   what a new config changes                     (pure)
drain    when to close each of many sessions           (pure)
renewal  certificates whose files have changed
watching  filters in single files, loaded again when they are saved
process  limits, signals, exit status
"""

"""The methods, a family a file, each as compiled code that reads like its textbook. Shared moves: `core/gridworld/memory.py`."""

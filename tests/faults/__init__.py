"""Faults of the machine: killed processes, limits, full disks, read-only folders, signals.

Everything runs in processes of its own, with the real cause. What tests the helpers is in
``test_*.py`` and runs with all tests; ``make test-faults`` runs ``check_*.py``, and ``make faults``
kills training and tools 500 times each:

    python -m tests.faults training --count 500
    python -m tests.faults tools --count 500
"""

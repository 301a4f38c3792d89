"""Rows and messages of a copy on another number of partitions: which one each belongs to, and what is made anew.

rows.py       where a row of each table goes
settlement.py windows, nets and counters, of which every partition has its own
messages.py   messages between the partitions
"""

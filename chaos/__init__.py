"""The fault campaign, `make chaos`: hundreds of turns under faults, and a verdict on each.

Instances of the app share one store. What they say to store and model goes through relays that
delay, break and lie; the instances are killed, stopped, paused and restarted. Callers note what
they see. When the faults are off, the verdict compares all of it with what the API then says.
`docs/chaos.md` says what is done, what is checked, and how to read a finding.
"""

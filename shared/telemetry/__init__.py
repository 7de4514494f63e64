"""What operators are told: turns as traces, metrics and logs, by OpenTelemetry's conventions.

`facts` are plain values that the app fills in on its way, which costs an attribute here and there.
Made into spans and measurements (`spans`, `metrics`, `logs`) they are in a thread of their own
(`recorder`), which alone imports the SDK (`exporters`). What messages say is never among them,
unless `CHAT_TELEMETRY_CONTENT` says so; conversations are told by a hash.
"""

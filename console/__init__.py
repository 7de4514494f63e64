"""The console client: chat in a terminal, or one question in a pipe, against a running backend.

    session    a conversation in a terminal      once        one question, for pipes and scripts
    prompt     the line that is typed            options     flags and environment
    commands   what can be typed beside it       ends        words and exit codes for every end
    listing    conversations, numbered           answering   a turn, shown, and stopped by Ctrl-C
    terminal   where all of it is printed        interrupts  Ctrl-C, as a key and as a signal
    page       an answer in a terminal           turn        one turn, over lost connections
    bare       an answer as text                 backend     requests, and what answers mean
    markdown   blocks, drawn as lines            events      what happens in a turn
    region     lines that are drawn over         errors      everything that can go wrong
    printable  text that steers no terminal

A caller of the HTTP API like any other: it imports nothing of `shared` and `local`.
"""

"""`python -m local doctor`: what is wrong with an app, and what to do about it.

`inside` looks at the parts by the settings, as the app would: who it is, whether model and store
let it in, whose clock is wrong. `outside` looks at a running app as a caller: whether it believes a
forged principal, whether what stands before it passes a stream on. Both give `findings`.
"""

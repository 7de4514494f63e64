// Preloaded into the Node.js parts of the local stack (`node --require`): ends them, as Ctrl-C
// would, when their standard input ends. That works on Windows, which has no SIGINT to send, and
// also when the process that started them was killed.
process.stdin.on("end", () => process.emit("SIGINT"));
process.stdin.on("error", () => process.emit("SIGINT"));
process.stdin.resume();

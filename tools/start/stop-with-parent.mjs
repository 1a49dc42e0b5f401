// Preloaded (`node --import`) into processes that must not outlive the one that started them: the channel between the
// two closes when the parent dies in whatever way, SIGKILL included.

if (process.channel) {
  process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  process.channel.unref()
}

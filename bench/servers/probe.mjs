// Preloaded into every server under test: answers the bench's questions about its own process.
process.on('message', (message) => {
  if (message !== 'usage') return;
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuSeconds: (user + system) / 1e6, rss: process.memoryUsage.rss() });
});
process.on('disconnect', () => process.exit(0));

// A classic script, not a module: it runs before the first paint, so that nothing flashes.
try {
  const theme = JSON.parse(localStorage.getItem("chat.theme") ?? "null");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // No storage, or something else in it: the system's theme.
}

/** Light or dark: the system's choice until the reader makes one. A plain script in the head: nothing flashes. */
{
  const KEY = "shortlist.theme";
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  const chosen = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };

  const apply = (theme) => {
    root.dataset.theme = theme;
    const isDark = theme === "dark";
    for (const button of document.querySelectorAll("[data-theme-toggle]")) {
      button.setAttribute("aria-label", isDark ? "Use the light theme" : "Use the dark theme");
    }
  };

  const followSystem = () => apply(chosen() ?? (dark.matches ? "dark" : "light"));

  followSystem();
  document.addEventListener("DOMContentLoaded", followSystem);
  dark.addEventListener("change", followSystem);
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-theme-toggle]")) return;
    const next = root.dataset.theme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // Kept for this page alone.
    }
    apply(next);
  });
}

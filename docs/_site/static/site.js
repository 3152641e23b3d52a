// What the theme leaves out for keyboards and screen readers: wide blocks can be scrolled, headings have a level.
addEventListener("DOMContentLoaded", () => {
  for (const block of document.querySelectorAll(".highlight pre, .table-wrapper, .diagram")) block.tabIndex = 0;
  for (const caption of document.querySelectorAll("p.caption[role=heading]")) caption.ariaLevel = "2";
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "Contents of the site");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "Contents of this page");
});

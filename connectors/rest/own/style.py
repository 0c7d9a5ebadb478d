"""The style sheet of the docs page."""

__all__ = ["STYLE"]

STYLE = """
:root {
  --ink: #1c2430; --soft: #5b6675; --line: #dde2e8; --ground: #fff; --panel: #f6f8fa;
  --get: #0b6bcb; --post: #1f7a4d; --put: #96600a; --patch: #7a3fb0; --delete: #b3261e;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6eaf0; --soft: #9aa6b5; --line: #2d3642; --ground: #12171e; --panel: #1a212b;
    --get: #6cb2ff; --post: #6fd3a0; --put: #e6b45c; --patch: #c79bf2; --delete: #ff8a80;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 4rem; }
body {
  margin: 0; color: var(--ink); background: var(--ground);
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
.frame {
  display: grid; grid-template-columns: 15rem minmax(0, 1fr); max-width: 84rem; margin: auto;
}
nav {
  position: sticky; top: 0; align-self: start; max-height: 100vh; overflow: auto;
  padding: 2rem 1rem 2rem 1.5rem; border-right: 1px solid var(--line); font-size: .92rem;
}
nav ul { list-style: none; margin: 0; padding: 0; }
nav li { margin: .35rem 0; }
nav .count { color: var(--soft); font-variant-numeric: tabular-nums; }
main { padding: 2rem 2rem 6rem; min-width: 0; }
h1 { margin: 0 0 .25rem; font-size: 1.9rem; letter-spacing: -.01em; }
h2 { margin: 3rem 0 .75rem; font-size: 1.3rem; border-bottom: 1px solid var(--line); }
h3 { margin: 1.25rem 0 .4rem; font-size: .95rem; }
a { color: inherit; text-decoration-color: var(--soft); text-underline-offset: .2em; }
a:hover { text-decoration-color: currentColor; }
.lead, .quiet { color: var(--soft); }
code, pre { font: .86em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
pre {
  margin: .4rem 0; padding: .75rem 1rem; overflow: auto; max-height: 26rem;
  background: var(--panel); border: 1px solid var(--line); border-radius: 6px;
}
details.call { border: 1px solid var(--line); border-radius: 8px; margin: .5rem 0; }
details.call > summary {
  display: flex; flex-wrap: wrap; gap: .25rem .75rem; align-items: baseline;
  padding: .55rem .9rem; cursor: pointer; list-style: none;
}
details.call > summary::-webkit-details-marker { display: none; }
details.call > summary:focus-visible { outline: 2px solid var(--get); outline-offset: 2px; }
details.call[open] > summary { border-bottom: 1px solid var(--line); background: var(--panel); }
details.call > div { padding: .5rem 1rem 1rem; }
.path { font-weight: 600; overflow-wrap: anywhere; }
.method { min-width: 4.2em; font-weight: 700; }
.get { color: var(--get); } .post { color: var(--post); } .put { color: var(--put); }
.patch { color: var(--patch); } .delete { color: var(--delete); }
table { width: 100%; border-collapse: collapse; font-size: .92rem; }
th, td { padding: .4rem .75rem .4rem 0; text-align: left; vertical-align: top; }
th { color: var(--soft); font-weight: 500; }
tr + tr td { border-top: 1px solid var(--line); }
td:first-child { white-space: nowrap; }
.must { color: var(--delete); font-size: .82rem; }
@media (max-width: 50rem) {
  .frame { grid-template-columns: minmax(0, 1fr); }
  nav { position: static; max-height: none; border: 0; padding: 1.5rem 1rem 0; }
  main { padding: 1.5rem 1rem 4rem; }
  td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 8rem; }
}
"""

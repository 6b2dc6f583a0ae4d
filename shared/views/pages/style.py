"""The style of the pages: light and dark, wide and narrow, and for print."""

from __future__ import annotations

from typing import Final

__all__ = ["STYLE"]

STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; --line: #8884; --soft: #8881;
  --add: #1b7f3b; --drop: #b3261e; --edit: #8a5a00; --warn: #b26a00;
  --bar: #5b86c9; --bar-add: #2a9d55; --bar-edit: #e0a526; --bar-drop: #6f6ad8; --bar-bad: #c8322a; }
@media (prefers-color-scheme: dark) { :root { --add: #7fd99a; --drop: #ff9d94; --edit: #f0c060; --warn: #ffb74d; } }
* { box-sizing: border-box; }
body { max-width: 68rem; margin: 2rem auto; padding: 0 1.25rem; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; } h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; } p { margin: .4rem 0; } small, .quiet { opacity: .75; }
code { font: .92em ui-monospace, monospace; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.25rem; margin: 1rem 0; }
.facts dt { opacity: .75; } .facts dd { margin: 0; min-width: 0; }
.warn { border-left: .3rem solid var(--warn); border-radius: .25rem; padding: .6rem 1rem; background: var(--soft); }
.totals { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem; }
.totals div { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .9rem; }
.totals b { display: block; font-size: 1.7rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.some.drop { border-color: var(--drop); }
.some.drop b, .drop h3, .was { color: var(--drop); } .some.add b, .add h3, .will { color: var(--add); }
.some.edit b, .edit h3 { color: var(--edit); }
h3 small, .was small, .will small, .will .empty, .was .empty { color: CanvasText; }
table { border-collapse: collapse; width: 100%; border: 1px solid var(--line); }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem; font-weight: 400;
  border-top: 1px solid var(--line); }
thead th { font-size: .85rem; font-weight: 600; background: var(--soft); border-top: 0; }
.n { text-align: right; font-variant-numeric: tabular-nums; }
.list td[data-name=rows] { min-width: 14rem; }
.changes { table-layout: fixed; } .changes .k { width: 20%; } .changes .c { width: 26%; }
.changes tbody { border-top: 2px solid var(--line); } .changes tbody th { font-weight: 600; }
.changes td { border-top-style: dotted; } .changes tr:first-child td { border-top-style: solid; }
.changes small { display: block; font-weight: 400; } .was, .will { white-space: pre-wrap; }
.empty { opacity: .6; }
.meter { display: block; height: .4rem; margin-top: .35rem; border-radius: .2rem; overflow: hidden;
  background: var(--line); }
.meter i { display: block; height: 100%; background: currentColor; }
.when { white-space: nowrap; }
figure { margin: 1.25rem 0; break-inside: avoid; }
figcaption { display: flex; flex-wrap: wrap; gap: .1rem 1.25rem; align-items: baseline; }
figcaption b { font-weight: 600; } figcaption span { white-space: nowrap; font-size: .9rem; }
figcaption i { display: inline-block; width: .7rem; height: .7rem; margin-right: .35rem; border-radius: .15rem; }
.plot { display: grid; grid-template-columns: 4.5rem 1fr; gap: .1rem .6rem; margin-top: .4rem; }
.plot small { opacity: 1; font-variant-numeric: tabular-nums; }
.plot .top { text-align: right; } .plot .zero { text-align: right; align-self: end; }
.plot svg { grid-column: 2; grid-row: 1 / span 2; display: block; width: 100%; height: 9rem;
  border-bottom: 1px solid; background: linear-gradient(var(--line), var(--line)) 0 0 / 100% 1px no-repeat; }
.plot .under { grid-column: 2; }
.created { fill: var(--bar-add); background: var(--bar-add); }
.updated { fill: var(--bar-edit); background: var(--bar-edit); }
.dropped { fill: var(--bar-drop); background: var(--bar-drop); }
.refused { fill: var(--bar-bad); background: var(--bar-bad); }
.throttled { fill: var(--bar-bad); background: var(--bar-bad); }
.parallel { fill: var(--bar-drop); background: var(--bar-drop); }
.amount { fill: var(--bar); background: var(--bar); }
.plot + .plot { margin-top: .6rem; } .plot + .plot svg { height: 5rem; }
.bar { display: block; width: 100%; min-width: 5rem; height: .7rem; margin-top: .4rem; }
.broken { color: var(--drop); font-weight: 600; }
@media (max-width: 42rem) {
  body { margin: 1rem auto; padding: 0 .9rem; }
  .facts { display: block; } .facts dd { margin-bottom: .5rem; }
  .totals { grid-template-columns: 1fr 1fr; gap: .5rem; }
  table, tbody, tr, th, td { display: block; width: auto !important; border: 0; } thead { display: none; }
  table { border: 0; }
  .changes tbody, .list tr { border: 1px solid var(--line); border-radius: .5rem; margin: .6rem 0;
    padding: .5rem .8rem; }
  th, td { padding: .1rem 0; } .n { text-align: left; }
  .changes tr { padding: .35rem 0; border-top: 1px dotted var(--line); }
  .changes tr:first-child { border-top: 0; } .changes tbody th { font-size: 1.05rem; }
  .changes tbody th small { display: inline; margin-left: .5rem; }
  .changes .c small { display: inline; margin-left: .4rem; }
  .changes .c { font-weight: 600; }
  .list td:first-child { font-weight: 600; } .list td:first-child::before { content: none !important; }
  td[data-name]::before { content: attr(data-name) ' '; opacity: .7; color: CanvasText; }
}
@media print {
  @page { size: A4; margin: 15mm; }
  :root { color-scheme: light; font-size: 11px; --add: #1b7f3b; --drop: #b3261e; --edit: #8a5a00; --warn: #b26a00; }
  body { max-width: none; margin: 0; padding: 0; }
  .changes tbody, .list tr, .totals div, .warn { break-inside: avoid; } h2, h3 { break-after: avoid; }
  thead { display: table-header-group; } * { print-color-adjust: exact; }
}
"""

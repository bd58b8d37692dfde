"use strict";
// Filters what is on the page, and draws rules when somebody asks for them. Text is only ever set as text.
(() => {
  const byId = (id) => document.getElementById(id);
  const findings = [...document.querySelectorAll("article")].map((element) => ({
    element,
    section: element.closest("section"),
    verdict: element.dataset.verdict,
    rank: Number(element.dataset.rank),
    check: element.dataset.check,
    reachable: element.dataset.reachable,
    text: element.textContent.toLowerCase(),
  }));
  const sections = [...document.querySelectorAll("section.cluster")];
  const checks = byId("check");
  for (const check of [...new Set(findings.map((finding) => finding.check))].sort()) {
    checks.append(new Option(check, check));
  }
  const apply = () => {
    const words = byId("words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdict = byId("verdict").value;
    const rank = Number(byId("severity").value);
    const check = checks.value;
    const reachable = byId("reachable").value;
    const isFiltered = words.length > 0 || verdict || rank > 0 || check || reachable;
    const shown = new Set();
    let count = 0;
    for (const finding of findings) {
      const fits = (!verdict || finding.verdict === verdict) && finding.rank >= rank &&
        (!check || finding.check === check) && (!reachable || finding.reachable === reachable) && words.every((word) => finding.text.includes(word));
      if (finding.element.hidden === fits) finding.element.hidden = !fits;
      if (fits) {
        count += 1;
        shown.add(finding.section);
      }
    }
    for (const section of sections) {
      section.hidden = Boolean(isFiltered) && !shown.has(section);
    }
    byId("shown").textContent = `${count} of ${findings.length} findings`;
  };
  for (const id of ["words", "verdict", "severity", "check", "reachable"]) {
    byId(id).addEventListener("input", apply);
  }
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("reset", () => setTimeout(apply));
  apply();

  const STEP = 200;
  const island = JSON.parse(byId("island").textContent);
  const cell = (row, text, name) => {
    const made = row.insertCell();
    made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  for (const button of document.querySelectorAll("button.rules")) {
    const rules = island.sections[Number(button.dataset.section)];
    const body = byId(`rules-${button.dataset.section}`);
    let drawn = 0;
    button.addEventListener("click", () => {
      body.closest("table").hidden = false;
      for (const [group, rule, verdict, portions] of rules.slice(drawn, drawn + STEP)) {
        const row = body.insertRow();
        cell(row, group);
        cell(row, rule);
        cell(row, verdict, verdict);
        const why = cell(row, "");
        for (const [clause, what, says] of portions) {
          const line = document.createElement("div");
          line.textContent = `${says} ${what}: ${clause}, ${island.reasons[clause] ?? ""}`;
          why.append(line);
        }
      }
      drawn = Math.min(drawn + STEP, rules.length);
      // Not disabled: whoever pressed it by keyboard would have to begin anew at the top.
      button.textContent = drawn < rules.length ? `Show more (${drawn} of ${rules.length})` : `${rules.length} rules`;
      button.ariaDisabled = String(drawn >= rules.length);
    });
  }
})();

/* Keeps an open national page up to date without moving the focus. The page is whole without it. */
(() => {
  const id = name => document.getElementById(name), figures = id("chiffres"), pause = id("pause"), map = id("carte"), choice = id("region");
  const LEAST = 2000, OFTEN = 60000, SPOKEN = 30000;
  let source, timer, busy, again, paused = false, last = Date.now(), spoken = 0, said = figures.dataset.said;

  // Changes what differs and leaves the rest: the focus, an open table, a selection.
  function morph(old, fresh) {
    if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) return old.replaceWith(fresh.cloneNode(true));
    if (old.nodeType !== 1) { if (old.data !== fresh.data) old.data = fresh.data; return; }
    for (const { name } of [...old.attributes]) if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const nodes = [...old.childNodes];
    fresh.childNodes.forEach((node, n) => nodes[n] ? morph(nodes[n], node) : old.append(node.cloneNode(true)));
    nodes.slice(fresh.childNodes.length).forEach(node => node.remove());
  }

  async function refresh() {
    if (busy) { again = true; return; }
    busy = true; last = Date.now();
    try {
      const answer = await fetch(location.href);
      if (answer.redirected) return location.reload(); // signed out meanwhile
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (answer.ok) for (const old of document.querySelectorAll("[data-live]")) morph(old, page.getElementById(old.id));
      if (figures.dataset.said !== said && last - spoken > SPOKEN) { id("annonce").textContent = said = figures.dataset.said; spoken = last; }
    } catch { /* The network is away; the next event asks again. */ }
    busy = false;
    if (again) { again = false; soon(); }
  }
  function soon() {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(refresh, Math.max(0, last + LEAST - Date.now()) + Math.random() * 500);
  }
  function stop() { clearTimeout(timer); if (source) source.close(); }
  function listen() {
    stop();
    if (paused || document.hidden) return;
    source = new EventSource("/national/flux");
    source.addEventListener("change", event => { if (event.data !== figures.dataset.version) soon(); });
  }

  document.addEventListener("visibilitychange", () => { listen(); soon(); });
  addEventListener("pagehide", stop);
  setInterval(() => { if (Date.now() - last > OFTEN) soon(); }, OFTEN / 4);
  pause.hidden = false;
  pause.addEventListener("click", () => { paused = !paused; pause.setAttribute("aria-pressed", paused); listen(); soon(); });

  // A tile names its region, and leads where the filter does.
  const regionOf = event => event.target.closest("svg > g")?.querySelector("text")?.textContent.replace(/^\D/, "CA-$&");
  map.addEventListener("mouseover", event => { const code = regionOf(event); map.title = code ? choice.querySelector(`[value="${code}"]`)?.text || "" : ""; });
  map.addEventListener("click", event => { const code = regionOf(event); if (code) { choice.value = code; choice.form.submit(); } });
  listen();
})();

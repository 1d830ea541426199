// The texts of a page that stand out too little from what is behind them: WCAG 2.2, success criterion 1.4.3. Behind a text
// that floats over the map, the map's ground is taken. Returns [text, contrast, colour, ground] of each, worst first.
(mapGround) => {
  const rgba = (css) => { const [r, g, b, a = 1] = css.match(/[\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a)];
  const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const ground = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      // A pattern (the realm's plate, the trouble banner) has no one colour: its own text lies on a plate of one.
      if (style.backgroundImage !== "none" && at !== document.documentElement && at.id !== "shell") return null;
      layers.push(rgba(style.backgroundColor));
      if (layers.at(-1)[3] === 1) break;
      if (at.id === "map") { layers.push([...mapGround, 1]); break; }
    }
    if (layers.at(-1)[3] !== 1) layers.push(rgba(getComputedStyle(document.body).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below));
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.textContent.trim() || node.closest("script, style, noscript, .unseen, .mz-spoken, :disabled") || !node.checkVisibility({ checkVisibilityCSS: true })) continue;
    const style = getComputedStyle(node);
    const behind = ground(node);
    if (behind === null) continue;
    const found = contrast(over(rgba(style.color), behind), behind);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
    if (found < (large ? 3 : 4.5)) poor.push([text.textContent.trim().slice(0, 40), Number(found.toFixed(2)), style.color, behind.map(Math.round).join()]);
  }
  return poor.sort((a, b) => a[1] - b[1]);
}

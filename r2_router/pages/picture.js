// The picture, as picture.py draws it for a notebook: `curves` are [name, points], a point {usd, height, title}; `width`
// is the room there is. What it draws with, `make`, is the page's, (name, attributes, text, children); so is `usd`.
function drawPicture(make, curves, chosen, was, width) {
  const S = PICTURE, left = S.left, right = width - S.right, top = S.top, bottom = S.height - S.bottom;
  const everyone = curves.flatMap(([, points]) => points), costs = everyone.map((p) => p.usd);
  const heights = everyone.map((p) => p.height), most = Math.floor(width / S.tick_px);
  const stretched = (values, first, last) => {
    const low = Math.min(...values), high = Math.max(...values);
    return (value) => (high > low ? first + ((value - low) / (high - low)) * (last - first) : (first + last) / 2);
  };
  const log = Math.min(...costs) > 0, scale = log ? Math.log : Number;
  const along = stretched(costs.map(scale), left + S.inset, right - S.inset), x = (cost) => along(scale(cost));
  const y = stretched(heights, bottom - S.inset, top + S.inset);
  const across = log ? logTicks(costs, most) : ticks(costs, most), up = ticks(heights, S.ticks);
  const text = (attributes, words) => make("text", attributes, words);
  const decimals = Math.max(Math.max(...up) > 1 ? 0 : 1, ...up.map((v) => v.toFixed(4).replace(/0+$/, "").split(".")[1].length));
  let last = -Infinity;
  const written = across.map((v) => [v, Math.min(x(v), width - S.edge_px)])
    .filter(([, at]) => at - last >= S.gap_px && ((last = at), true));
  return [
    make("g", { class: "r2-rules" }, "", [...up.map((v) => make("path", { d: `M${left},${one(y(v))}H${right}` })),
      ...across.map((v) => make("path", { d: `M${one(x(v))},${top}V${bottom}` }))]),
    text({ transform: `translate(12,${one((top + bottom) / 2)}) rotate(-90)`, "text-anchor": "middle" }, S.up),
    ...up.map((v) => text({ x: left - 6, y: one(y(v)), dy: ".35em", "text-anchor": "end" }, v.toFixed(decimals))),
    text({ x: one((left + right) / 2), y: S.height - 8, "text-anchor": "middle" }, S.along),
    ...written.map(([v, at]) => text({ x: one(at), y: bottom + 16, "text-anchor": "middle" }, usd(v))),
    ...curves.map(([, points], i) => {
      const places = points.map((p) => `${one(x(p.usd))},${one(y(p.height))}`);
      return make("g", { class: "r2-model", color: colour(i) }, "", [make("polyline", { points: places.join(" ") }),
        ...points.map((p, n) => make("g", { class: "r2-point", transform: `translate(${places[n]})` }, "",
          [make("title", {}, p.title), make("circle", { r: S.touch }), make("path", { d: shape(i) })]))]);
    }),
    ...[[was, "r2-was"], [chosen, "r2-ring"]].filter(([p]) => p)
      .map(([p, kind]) => make("circle", { class: kind, cx: one(x(p.usd)), cy: one(y(p.height)), r: S.ring })),
  ];
}
const drawSign = (make, i) => make("svg", { viewBox: "-7 -7 14 14", "aria-hidden": "true", color: colour(i) }, "",
  [make("path", { d: shape(i) })]);
const one = (number) => number.toFixed(1);
const colour = (i) => PICTURE.colours[i % PICTURE.colours.length], shape = (i) => PICTURE.shapes[i % PICTURE.shapes.length];

function ticks(values, most) {
  const low = Math.min(...values), high = Math.max(...values);
  if (!(high > low)) return [low];
  const power = 10 ** Math.floor(Math.log10((high - low) / most));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => (high - low) / s <= most);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i <= high / step + 1e-9; i++) found.push(i * step);
  return found;
}
function logTicks(values, most) {
  const low = Math.min(...values), high = Math.max(...values), found = [];
  for (const factors of [[1, 2, 5], [1]]) {
    found.length = 0;
    for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++)
      for (const m of factors) if (m * 10 ** p >= low && m * 10 ** p <= high) found.push(m * 10 ** p);
    if (found.length <= most) break;
  }
  return found.length > 1 ? found : ticks(values, most);
}

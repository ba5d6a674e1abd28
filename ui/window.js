// A window slides over a map: the numbers in it, the filter, their products, the sum, and the number that comes out.
// Everything happens here, without the server: point at a place, or use the arrow keys; "Slide" goes through all places.
// data: {picture: url, size, below: [[..]], kernel: [[..]] or null, own, others, sum: [[..]], bias, steps: [{what, values}],
//        k, stride, padding, field: {step, offset, length}, words: {...}, place: id of what is shown}

const views = new WeakMap();                             // the element that Streamlit gives us -> our view in it
const BLUE = [33, 102, 172], ORANGE = [230, 97, 1];

const short = (value, digits = 2) => { const size = Math.abs(value); return (size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(digits)).replace(/^-(?!0\.0+$)/, '\u2212').replace(/^-/, ''); };
const signed = value => value < 0 ? `(${short(value, 3)})` : short(value, 3);
const largest = rows => Math.max(1e-9, ...rows.map(row => Math.max(...row.map(Math.abs))));

function colour(value, limit) {                          // blue below zero, orange above, white at zero
  const share = Math.min(1, Math.abs(value) / limit), end = value < 0 ? BLUE : ORANGE;
  return `rgb(${end.map(part => Math.round(255 - share * (255 - part))).join(',')})`;
}

function paint(canvas, rows) {
  const limit = largest(rows);
  Object.assign(canvas, { width: rows[0].length, height: rows.length });
  const pen = canvas.getContext('2d');
  rows.forEach((row, y) => row.forEach((value, x) => { pen.fillStyle = colour(value, limit); pen.fillRect(x, y, 1, 1); }));
}

function table(rows, limit, alt) {
  const made = document.createElement('table');
  made.setAttribute('aria-label', alt);
  for (const row of rows) {
    const line = made.insertRow();
    for (const value of row) {
      const cell = line.insertCell();
      cell.textContent = value === null ? '0' : short(value);
      if (value === null) cell.className = 'outside';
      else { cell.style.background = colour(value, limit); cell.style.color = Math.abs(value) > 0.6 * limit ? '#fff' : '#16202c'; }
    }
  }
  return made;
}

function box(name, caption) {
  const figure = document.createElement('figure'), words = document.createElement('figcaption'), stage = document.createElement('div');
  figure.className = name;
  words.textContent = caption;
  stage.className = 'stage';
  figure.append(words, stage);
  return { figure, words, stage };
}

function framed(part, what) {                            // a canvas or picture with a frame that moves over it
  const frame = document.createElement('div');
  frame.className = 'frame';
  part.stage.append(what, frame);
  return (left, top, wide, high, across, down) => Object.assign(frame.style, {
    left: `${100 * left / across}%`, top: `${100 * top / down}%`, width: `${100 * wide / across}%`, height: `${100 * high / down}%`,
  });
}

function build(view, data) {
  const { words } = data, parts = {
    picture: box('picture', words.picture), below: box('below', words.below), window: box('numbers', words.window),
    kernel: box('numbers', words.kernel), products: box('numbers', words.products), out: box('out', words.out),
  };
  const picture = document.createElement('img'), below = document.createElement('canvas'), out = document.createElement('canvas');
  picture.src = data.picture;
  picture.alt = words.picture;
  paint(below, data.below);
  paint(out, data.steps.length ? data.steps.at(-1).values : data.sum);
  view.frames = { picture: framed(parts.picture, picture), below: framed(parts.below, below), out: framed(parts.out, out) };
  Object.assign(out, { tabIndex: 0 });
  out.setAttribute('role', 'application');
  out.setAttribute('aria-label', words.help);
  const at = event => {
    const area = out.getBoundingClientRect(), high = data.sum.length, wide = data.sum[0].length;
    place(view, Math.min(high - 1, Math.max(0, Math.floor((event.clientY - area.top) / area.height * high))),
      Math.min(wide - 1, Math.max(0, Math.floor((event.clientX - area.left) / area.width * wide))));
  };
  out.onpointermove = event => { if (!view.held && !view.timer) at(event); };
  out.onpointerdown = event => { stop(view); view.held = true; at(event); };
  out.onkeydown = event => {
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!move) return;
    event.preventDefault();
    stop(view);
    view.held = true;
    place(view, Math.min(data.sum.length - 1, Math.max(0, view.row + move[0])), Math.min(data.sum[0].length - 1, Math.max(0, view.column + move[1])));
  };
  const slide = document.createElement('button');
  slide.className = 'slide';
  slide.textContent = words.slide;
  slide.onclick = () => view.timer ? stop(view) : start(view);
  const sum = document.createElement('p');
  sum.className = 'sum';
  sum.setAttribute('aria-live', 'polite');
  const flow = document.createElement('div');
  flow.className = 'flow';
  flow.append(parts.picture.figure, parts.below.figure, parts.window.figure);
  if (data.kernel) {
    parts.kernel.stage.append(table(data.kernel, largest(data.kernel), words.kernel));
    flow.append(parts.kernel.figure, parts.products.figure);
  }
  flow.append(parts.out.figure);
  view.root.replaceChildren(flow, sum, slide);
  Object.assign(view, { data, parts, sum, slide, held: false });
}

function place(view, row, column) {
  const { data, parts, frames } = view, { k, stride, padding, field } = data;
  Object.assign(view, { row, column });
  const high = data.below.length, wide = data.below[0].length, top = row * stride - padding, left = column * stride - padding;
  const inside = (y, x) => y >= 0 && y < high && x >= 0 && x < wide;
  const grid = value => Array.from({ length: k }, (_, y) => Array.from({ length: k }, (_, x) => value(y, x)));
  const seen = grid((y, x) => inside(top + y, left + x) ? data.below[top + y][left + x] : null);
  parts.window.stage.replaceChildren(table(seen, largest(data.below), data.words.window));
  if (data.kernel) {
    const products = grid((y, x) => (seen[y][x] ?? 0) * data.kernel[y][x]);
    parts.products.stage.replaceChildren(table(products, largest(products), data.words.products));
  }
  frames.below(Math.max(0, left), Math.max(0, top), Math.min(wide, left + k) - Math.max(0, left), Math.min(high, top + k) - Math.max(0, top), wide, high);
  frames.out(column, row, 1, 1, data.sum[0].length, data.sum.length);
  const y = Math.max(0, row * field.step + field.offset), x = Math.max(0, column * field.step + field.offset);
  frames.picture(x, y, Math.min(data.size, column * field.step + field.offset + field.length) - x,
    Math.min(data.size, row * field.step + field.offset + field.length) - y, data.size, data.size);
  const total = data.sum[row][column], words = data.words;
  let text = data.kernel
    ? `${words.own} ${short(data.own[row][column], 3)}` + (words.others ? ` + ${words.others} ${signed(data.others[row][column])}` : '')
      + (data.bias ? ` + ${words.bias} ${signed(data.bias)}` : '') + (words.others || data.bias ? ` = ${short(total, 3)}` : '')
    : `${words.pools} ${short(total, 3)}`;
  for (const step of data.steps) text += ` → ${step.what} = ${short(step.values[row][column], 3)}`;
  view.sum.textContent = `${words.row} ${row}, ${words.column} ${column}: ${text}`;
  view.root.dataset.place = `${row},${column}`;          // for tests
}

function start(view) {
  const places = view.data.sum.length * view.data.sum[0].length, wide = view.data.sum[0].length;
  let n = view.row * wide + view.column;
  view.held = true;
  view.slide.textContent = view.data.words.stop;
  view.timer = setInterval(() => { n = (n + 1) % places; place(view, Math.floor(n / wide), n % wide); }, 120);
}

function stop(view) {
  clearInterval(view.timer);
  view.timer = 0;
  if (view.slide) view.slide.textContent = view.data.words.slide;
}

export default function ({ parentElement, data }) {
  let view = views.get(parentElement);
  if (!view) {
    const root = parentElement.appendChild(document.createElement('div'));
    root.className = 'window';
    views.set(parentElement, view = { root, row: -1, column: -1, timer: 0 });
  }
  if (view.id !== data.place) {                          // another map: the place stays where it is still there
    stop(view);
    const same = view.data && view.data.sum.length === data.sum.length && view.data.sum[0].length === data.sum[0].length;
    const [row, column] = same ? [view.row, view.column] : [data.sum.length >> 1, data.sum[0].length >> 1];
    view.id = data.place;
    build(view, data);
    place(view, row, column);
  }
  return () => { if (!parentElement.isConnected) { stop(view); views.delete(parentElement); } };
}

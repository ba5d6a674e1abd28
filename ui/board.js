// A gridworld as SVG: painted on, looked at, played. One element for all three, told by `data.mode`:
//   edit  drag paints `data.brush`, keys paint too; tells {kind: 'paint', cells, letter} once the pointer is lifted, or {kind: 'undo'}
//   look  a click or Enter tells {kind: 'look', cell}
//   play  the arrow keys and the edges of the map tell {kind: 'move', action}
// The picture is made anew at each update, the element and the agent on it stay: nothing flickers, and the agent glides.

const SIDE = 40, NAMES = DATA_NAMES;                     // pixels of a cell in the picture; letter -> what it is
const boards = new WeakMap();                            // the element that Streamlit gives us -> our board in it
const SHAFT = { 0: 'M9,0 L-9,0 M-4,-4 L-9,0 L-4,4', 1: 'M0,-9 L0,9 M-4,4 L0,9 L4,4', 2: 'M-9,0 L9,0 M4,-4 L9,0 L4,4', 3: 'M0,9 L0,-9 M-4,-4 L0,-9 L4,-4' };
const STUB = { 0: 'M-4,0 L-11,0 M-8,-3 L-11,0 L-8,3', 1: 'M0,4 L0,11 M-3,8 L0,11 L3,8', 2: 'M4,0 L11,0 M8,-3 L11,0 L8,3', 3: 'M0,-4 L0,-11 M-3,-8 L0,-11 L3,-8' };
const CORNERS = [[-20, -20], [20, -20], [20, 20], [-20, 20]];
const SIDES = [[0, 3], [3, 2], [1, 2], [0, 1]];          // by action: left, down, right, up
const AT = [[-13, 3], [0, 17], [13, 3], [0, -11]];       // where the value of a move is written

const short = value => Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : String(+value.toFixed(2));
const escaped = text => String(text).replace(/[&<>"]/g, sign => `&#${sign.charCodeAt(0)};`);

function cellPicture(data, index) {
  const width = data.rows[0].length, row = Math.floor(index / width), column = index % width, letter = data.rows[row][column];
  const middle = `translate(${column * SIDE + SIDE / 2},${row * SIDE + SIDE / 2})`, kind = /[1-9]/.test(letter) ? 'teleport' : letter;
  let out = `<g transform="${middle}" data-cell="${index}"><rect class="floor k${({ '#': 'wall', 'G': 'goal', 'D': 'goal', 'H': 'pit', 'C': 'cliff', 'I': 'ice', 'A': 'door', 'B': 'door' })[kind] ?? (data.ice ? 'ice' : 'plain')}" x="-20" y="-20" width="40" height="40"/>`;
  const color = data.colors?.[index], moves = data.moves?.[index], busy = moves || color || data.arrows?.[index]?.length;
  if (color) out += `<rect x="-20" y="-20" width="40" height="40" fill="${escaped(color)}"/>`;
  if (moves) moves.forEach(([value, paint], action) => {
    const [a, b] = SIDES[action].map(corner => CORNERS[corner].join(','));
    out += `<polygon points="0,0 ${a} ${b}" fill="${escaped(paint)}" class="move"/>`;
    if (data.numbers !== false) out += `<text class="tiny" x="${AT[action][0]}" y="${AT[action][1]}">${short(value)}</text>`;
  });
  if (letter === 'H') out += '<circle r="13" class="hole"/>';
  else if ('<>^v'.includes(letter)) out += `<path class="street" d="${SHAFT[({ '<': 0, 'v': 1, '>': 2, '^': 3 })[letter]]}" transform="scale(1.5)"/>`;
  else if (!'.#CI'.includes(letter)) out += `<text class="letter ${busy ? 'small' : ''}" x="${busy ? -14 : 0}" y="${busy ? -10 : 6}">${letter}</text>`;
  const reward = data.rewards?.[index];
  if (reward !== undefined) out += `<text class="pay" x="18" y="-10">${reward > 0 ? '+' : ''}${short(reward)}</text>`;
  if (data.values?.[index] != null && !moves) out += `<text class="value" x="18" y="17">${short(data.values[index])}</text>`;
  const best = data.arrows?.[index] ?? [];
  for (const action of best) out += `<path class="arrow" d="${(best.length > 1 ? STUB : SHAFT)[action]}"/>`;
  return out + '</g>';
}

function picture(data, cursor) {
  const height = data.rows.length, width = data.rows[0].length;
  let out = '';
  for (let index = 0; index < height * width; index++) out += cellPicture(data, index);
  const point = cell => `${(cell % width) * SIDE + SIDE / 2},${Math.floor(cell / width) * SIDE + SIDE / 2}`;
  if (data.trail?.length > 1) out += `<polyline class="trail" points="${data.trail.map(point).join(' ')}"/>`;
  (data.wind ?? []).forEach((force, column) => { if (force) out += `<text class="wind" x="${column * SIDE + SIDE / 2}" y="${height * SIDE - 4}">${'↑'.repeat(Math.min(force, 3))}</text>`; });
  const ring = (cell, name) => cell == null || cell < 0 ? '' : `<rect class="${name}" x="${(cell % width) * SIDE + 1.5}" y="${Math.floor(cell / width) * SIDE + 1.5}" width="37" height="37" rx="4"/>`;
  return out + ring(data.selected, 'selected') + ring(cursor, 'cursor');
}

export default function ({ parentElement, data: [data], setTriggerValue }) {
  let board = boards.get(parentElement);
  if (!board) {
    const root = document.createElement('div');
    root.className = 'board';
    root.innerHTML = '<svg xmlns="http://www.w3.org/2000/svg"><g class="cells"></g><g class="agent"><circle r="11"/></g></svg><div class="said" aria-live="polite"></div>';
    parentElement.appendChild(root);
    boards.set(parentElement, board = { root, svg: root.querySelector('svg'), cells: root.querySelector('.cells'), agent: root.querySelector('.agent'), said: root.querySelector('.said'), cursor: 0, painted: null, updates: 0 });
    listen(board);
  }
  board.data = data;
  board.tell = what => setTriggerValue('did', { ...what, turn: ++board.updates });
  if (!board.painted) board.rows = data.rows;            // a drag that is under way is not painted over
  const height = data.rows.length, width = data.rows[0].length;
  board.cursor = Math.min(board.cursor, height * width - 1);
  board.svg.setAttribute('viewBox', `0 0 ${width * SIDE} ${height * SIDE}`);
  board.root.style.setProperty('--wide', `${Math.min(width * 96, 520 * Math.max(1, width / height))}px`);
  Object.entries({ role: 'application', tabindex: 0, 'aria-label': data.label, 'data-mode': data.mode, 'data-brush': data.brush }).forEach(([name, value]) => board.root.setAttribute(name, value));
  draw(board);
  glide(board);
  return () => { if (!parentElement.isConnected) { clearTimeout(board.timer); boards.delete(parentElement); } };
}

function draw(board) {
  board.cells.innerHTML = picture({ ...board.data, rows: board.rows }, document.activeElement === board.root || board.root.getRootNode().activeElement === board.root ? board.cursor : -1);
}

function place(board, cell, seconds) {
  const width = board.data.rows[0].length;
  board.agent.style.display = cell == null ? 'none' : '';
  if (cell == null) return;
  board.agent.style.transition = `transform ${seconds}s linear`;
  board.agent.style.transform = `translate(${(cell % width) * SIDE + SIDE / 2}px,${Math.floor(cell / width) * SIDE + SIDE / 2}px)`;
}

function glide(board) {                                  // along `data.path`, a cell each `data.pace` milliseconds
  const { path, pace, agent, walk } = board.data;
  if (!path?.length) { clearTimeout(board.timer); board.walk = null; delete board.root.dataset.at; return place(board, agent, 0.15); }
  if (board.walk === walk) return;                       // the same walk goes on through other updates
  clearTimeout(board.timer);
  board.walk = walk;
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  let n = still ? path.length - 1 : 0;                   // little motion: where it ends
  const step = () => {
    place(board, path[n], n && !still ? pace / 1000 : 0);
    if (++n < path.length) board.timer = setTimeout(step, pace);
    board.root.dataset.at = path[n - 1];
  };
  step();
}

function say(board) {
  const { rows } = board, width = rows[0].length, row = Math.floor(board.cursor / width), column = board.cursor % width;
  board.said.textContent = `Row ${row + 1}, column ${column + 1}: ${NAMES[rows[row][column]]}${board.data.told?.[board.cursor] ? '. ' + board.data.told[board.cursor] : ''}`;
}

function paint(board, cell) {
  const width = board.rows[0].length, row = Math.floor(cell / width), column = cell % width, letter = board.data.brush;
  board.painted ??= [];
  if (board.painted.includes(cell)) return;
  board.painted.push(cell);
  if (letter !== '$') board.rows = board.rows.map((line, n) => n === row ? line.slice(0, column) + letter + line.slice(column + 1) : line);
  draw(board);
}

function lift(board, letter = board.data.brush) {
  if (board.painted?.length) board.tell({ kind: 'paint', cells: board.painted, letter });
  board.painted = null;
}

function listen(board) {
  const { root, svg } = board;
  const cellAt = event => {
    const box = svg.getBoundingClientRect(), width = board.rows[0].length, height = board.rows.length;
    const column = Math.floor((event.clientX - box.left) / box.width * width), row = Math.floor((event.clientY - box.top) / box.height * height);
    return row >= 0 && row < height && column >= 0 && column < width ? row * width + column : null;
  };
  svg.addEventListener('pointerdown', event => {
    const cell = cellAt(event);
    if (cell === null) return;
    root.focus({ preventScroll: true });
    board.cursor = cell;
    if (board.data.mode === 'edit' && event.pointerType === 'touch') board.touched = { cell, x: event.clientX, y: event.clientY };
    else if (board.data.mode === 'edit') { svg.setPointerCapture(event.pointerId); paint(board, cell); }
    else if (board.data.mode === 'look') { board.tell({ kind: 'look', cell }); draw(board); }
    else {                                               // towards where the finger is from the agent
      const width = board.rows[0].length, here = board.data.agent ?? 0;
      const right = cell % width - here % width, down = Math.floor(cell / width) - Math.floor(here / width);
      if (right || down) board.tell({ kind: 'move', action: Math.abs(right) > Math.abs(down) ? (right > 0 ? 2 : 0) : (down > 0 ? 1 : 3) });
    }
    say(board);
  });
  svg.addEventListener('pointermove', event => {
    const cell = cellAt(event);
    if (board.painted && cell !== null) paint(board, cell);
  });
  svg.addEventListener('pointerup', event => {
    const { touched } = board;                           // a finger that stayed paints; one that moved has scrolled the page
    if (touched && Math.hypot(event.clientX - touched.x, event.clientY - touched.y) < 10) paint(board, touched.cell);
    board.touched = null;
    lift(board);
  });
  svg.addEventListener('pointercancel', () => { board.touched = null; lift(board); });
  root.addEventListener('focus', () => draw(board));
  root.addEventListener('blur', () => draw(board));
  root.addEventListener('keydown', event => {
    const width = board.rows[0].length, height = board.rows.length, { mode } = board.data;
    const action = { ArrowLeft: 0, ArrowDown: 1, ArrowRight: 2, ArrowUp: 3 }[event.key];
    if (action !== undefined && mode === 'play') board.tell({ kind: 'move', action });
    else if (action !== undefined) {
      const row = Math.floor(board.cursor / width) + [0, 1, 0, -1][action], column = board.cursor % width + [-1, 0, 1, 0][action];
      if (row >= 0 && row < height && column >= 0 && column < width) board.cursor = row * width + column;
      draw(board);
    }
    else if (mode === 'edit' && (event.ctrlKey || event.metaKey) && event.key === 'z') board.tell({ kind: 'undo' });
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (mode === 'edit' && (event.key === 'Enter' || event.key === ' ')) { paint(board, board.cursor); lift(board); }
    else if (mode === 'edit' && event.key.length === 1 && NAMES[event.key]) {
      const brush = board.data.brush;
      board.data = { ...board.data, brush: event.key };
      paint(board, board.cursor);
      lift(board, event.key);
      board.data = { ...board.data, brush };
    }
    else if (mode === 'look' && (event.key === 'Enter' || event.key === ' ')) board.tell({ kind: 'look', cell: board.cursor });
    else return;
    event.preventDefault();
    event.stopPropagation();                             // single letters are shortcuts of the page elsewhere
    say(board);
  });
}

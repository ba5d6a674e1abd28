// A square to draw on with mouse, pen or finger, white on black. While it is drawn on, what there is goes to the page a few times a
// second, and once more at the end of a stroke, as the state `drawing`: a PNG as a data URL, '' for nothing.
// data: {label, drawing}; drawing: what the page has, shown where this element is new.

const EVERY = 200, SIDE = 280, SENT = 140, WIDE = 36;    // milliseconds; pixels of the square, of what is sent, of the pen
const pens = new WeakMap();                              // the element that Streamlit gives us -> our square in it

function make(parentElement, data) {
  const root = parentElement.appendChild(document.createElement('div'));
  root.className = 'pen';
  root.innerHTML = '<canvas role="img"></canvas><div><button type="button">Undo</button><button type="button">Clear</button></div>';
  const canvas = root.querySelector('canvas'), [undo, clear] = root.querySelectorAll('button');
  canvas.width = canvas.height = SIDE;
  const pen = { root, canvas, undo, clear, brush: canvas.getContext('2d'), strokes: [], before: null, timer: null };
  if (data.drawing) {
    pen.before = new Image();
    pen.before.onload = () => draw(pen);
    pen.before.src = data.drawing;
  }
  listen(pen);
  draw(pen);
  return pen;
}

function draw({ brush, strokes, before, undo, clear }) {
  brush.fillStyle = '#000000';
  brush.fillRect(0, 0, SIDE, SIDE);
  if (before) brush.drawImage(before, 0, 0, SIDE, SIDE);
  Object.assign(brush, { strokeStyle: '#ffffff', lineWidth: WIDE, lineCap: 'round', lineJoin: 'round' });
  for (const [first, ...others] of strokes) {
    brush.beginPath();
    brush.moveTo(...first);
    brush.lineTo(first[0] + 0.01, first[1]);             // a line without length would be none: a tap is a dot
    for (const point of others) brush.lineTo(...point);
    brush.stroke();
  }
  undo.disabled = clear.disabled = !strokes.length && !before;
}

function tell(pen) {
  clearTimeout(pen.timer);
  pen.timer = null;
  if (!pen.strokes.length && !pen.before) return pen.send('');
  const small = document.createElement('canvas');
  small.width = small.height = SENT;
  small.getContext('2d').drawImage(pen.canvas, 0, 0, SENT, SENT);
  pen.send(small.toDataURL('image/png'));
}

function listen(pen) {
  const { canvas, undo, clear } = pen;
  const at = event => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * SIDE, (event.clientY - box.top) / box.height * SIDE];
  };
  canvas.addEventListener('pointerdown', event => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    pen.down = event.pointerId;
    pen.strokes.push([at(event)]);
    draw(pen);
    pen.timer ??= setTimeout(() => tell(pen), EVERY);
  });
  canvas.addEventListener('pointermove', event => {
    if (pen.down !== event.pointerId) return;            // a second finger draws nothing
    pen.strokes.at(-1).push(at(event));
    draw(pen);
    pen.timer ??= setTimeout(() => tell(pen), EVERY);
  });
  for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, event => {
    if (pen.down !== event.pointerId) return;
    pen.down = null;
    tell(pen);
  });
  undo.onclick = () => {
    if (!pen.strokes.pop()) pen.before = null;
    draw(pen);
    tell(pen);
  };
  clear.onclick = () => {
    Object.assign(pen, { strokes: [], before: null });
    draw(pen);
    tell(pen);
  };
}

export default function ({ parentElement, data: [data], setStateValue }) {
  let pen = pens.get(parentElement);
  if (!pen) pens.set(parentElement, pen = make(parentElement, data));
  pen.send = drawing => setStateValue('drawing', drawing);
  pen.canvas.setAttribute('aria-label', data.label);
  return () => { if (!parentElement.isConnected) { clearTimeout(pen.timer); pens.delete(parentElement); } };
}

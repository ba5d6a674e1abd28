// All maps of a network on one screen: a card for each layer, its maps in a sheet. A click on a map tells {layer, map}.
// data: {layers: [{name, words, url, count, across, side, gap}], chosen: {layer, map}}; side 1: single numbers, of which there may be
// a thousand, so they share one button.

const atlases = new WeakMap();                           // the element that Streamlit gives us -> our atlas in it

function card(layer, chosen, tell) {
  const figure = document.createElement('figure'), words = document.createElement('figcaption');
  words.textContent = layer.words;
  figure.append(words);
  const sheet = document.createElement('div'), picture = document.createElement('img');
  sheet.className = 'sheet';
  picture.src = layer.url;
  picture.alt = layer.words;
  sheet.append(picture);
  if (layer.count) {
    const down = Math.ceil(layer.count / layer.across), cell = layer.side + layer.gap;
    const wide = layer.across * cell - layer.gap, high = down * cell - layer.gap;
    if (layer.side === 1) sheet.append(numbers(layer, chosen, tell));
    else for (let n = 0; n < layer.count; n++) {
      const button = document.createElement('button');
      button.title = `${layer.name}, map ${n}`;
      button.setAttribute('aria-label', button.title);
      button.setAttribute('aria-pressed', chosen.layer === layer.name && chosen.map === n);
      Object.assign(button.style, {
        left: `${n % layer.across * cell / wide * 100}%`, top: `${Math.floor(n / layer.across) * cell / high * 100}%`,
        width: `${layer.side / wide * 100}%`, height: `${layer.side / high * 100}%`,
      });
      button.onclick = () => tell({ layer: layer.name, map: n });
      sheet.append(button);
    }
  }
  figure.append(sheet);
  return figure;
}

function numbers(layer, chosen, tell) {                  // a square: where it is clicked is the number; a frame marks the chosen one
  const button = document.createElement('button'), { across, count, name } = layer;
  button.title = `${name}: choose a number`;
  button.setAttribute('aria-label', `${button.title}; by keyboard, type it in the field above`);
  button.className = 'numbers';
  button.onclick = event => {
    const area = button.getBoundingClientRect(), cell = share => Math.min(across - 1, Math.max(0, Math.floor(share * across)));
    const n = cell((event.clientY - area.top) / area.height) * across + cell((event.clientX - area.left) / area.width);
    tell({ layer: name, map: event.detail ? Math.min(count - 1, n) : 0 });  // by key: the first
  };
  if (chosen.layer === name && chosen.map < count) {
    const frame = button.appendChild(document.createElement('span')), size = 100 / across;
    Object.assign(frame.style, {
      left: `${chosen.map % across * size}%`, top: `${Math.floor(chosen.map / across) * size}%`, width: `${size}%`, height: `${size}%`,
    });
  }
  return button;
}

export default function ({ parentElement, data, setTriggerValue }) {
  let root = atlases.get(parentElement);
  if (!root) {
    root = parentElement.appendChild(document.createElement('div'));
    root.className = 'atlas';
    atlases.set(parentElement, root);
  }
  const held = root.contains(document.activeElement) ? document.activeElement.title : '';
  root.replaceChildren(...data.layers.map(layer => card(layer, data.chosen, value => setTriggerValue('chose', value))));
  if (held) [...root.querySelectorAll('button')].find(button => button.title === held)?.focus();
}

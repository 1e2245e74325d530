// Masks as canvases whose alpha is the mask, at the mask's own size.

/** A BitmaskLabels picture: an RGBA PNG of which the editor reads the alpha. */
export async function fromPng(url) {
  const picture = new Image();
  picture.src = url;
  await picture.decode();
  const canvas = sheet(picture.naturalWidth, picture.naturalHeight);
  canvas.getContext('2d').drawImage(picture, 0, 0);
  return canvas;
}

/** COCO's compressed run lengths {size: [height, width], counts}: down the columns, background first. */
export function fromRle({ size: [height, width], counts }) {
  const canvas = sheet(width, height);
  const context = canvas.getContext('2d');
  const picture = context.createImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  let at = 0;
  runLengths(counts).forEach((length, index) => {
    const end = at + length;
    if (index % 2 === 0) { at = end; return; }
    for (let column = Math.floor(at / height), row = at % height; at < end; at += 1) {
      pixels[row * width + column] = 0xffffffff;
      row += 1;
      if (row === height) { row = 0; column += 1; }
    }
  });
  context.putImageData(picture, 0, 0);
  return canvas;
}

/** Run lengths from COCO's text: five bits a character, a sign bit, and from the third on the change by two. */
export function runLengths(text) {
  const lengths = [];
  for (let at = 0; at < text.length;) {
    let value = 0;
    let shift = 0;
    let bits;
    do {
      bits = text.charCodeAt(at) - 48;
      value |= (bits & 31) << shift;
      shift += 5;
      at += 1;
    } while (bits & 32);
    if (bits & 16) value |= -1 << shift;
    lengths.push(lengths.length > 2 ? value + lengths[lengths.length - 2] : value);
  }
  return lengths;
}

/** The share of the picture that a mask covers, 0 to 1, counted on a small copy. */
export function coverage(mask) {
  const scale = Math.min(1, 400 / Math.max(mask.width, mask.height));
  const small = sheet(Math.max(1, Math.round(mask.width * scale)), Math.max(1, Math.round(mask.height * scale)));
  const context = small.getContext('2d', { willReadFrequently: true });
  context.drawImage(mask, 0, 0, small.width, small.height);
  const { data } = context.getImageData(0, 0, small.width, small.height);
  let sum = 0;
  for (let at = 3; at < data.length; at += 4) sum += data[at];
  return sum / 255 / (small.width * small.height);
}

/** A mask as it is drawn over the picture: tinted, its rim inside its edge, so that it looks no larger than it is. */
export function tinted(mask, colour, width, height, unit) {
  const canvas = sheet(width, height);
  const context = canvas.getContext('2d');
  const shape = flat(mask, colour, width, height);
  context.drawImage(around(flat(mask, '#ffffff', width, height), unit), 0, 0);
  context.globalAlpha = 0.42;
  context.drawImage(shape, 0, 0);
  context.globalAlpha = 1;
  context.drawImage(rim(shape, 2 * unit), 0, 0);
  return canvas;
}

function flat(mask, colour, width, height) {
  const canvas = sheet(width, height);
  const context = canvas.getContext('2d');
  context.drawImage(mask, 0, 0, width, height);
  context.globalCompositeOperation = 'source-in';
  context.fillStyle = colour;
  context.fillRect(0, 0, width, height);
  return canvas;
}

/** The strip outside a shape's edge. */
function around(shape, thickness) {
  const [canvas, context] = shifted(shape, thickness, 'source-over');
  context.globalCompositeOperation = 'destination-out';
  context.drawImage(shape, 0, 0);
  return canvas;
}

/** The strip inside a shape's edge. */
function rim(shape, thickness) {
  const [inside] = shifted(shape, thickness, 'destination-in');
  const canvas = sheet(shape.width, shape.height);
  const context = canvas.getContext('2d');
  context.drawImage(shape, 0, 0);
  context.globalCompositeOperation = 'destination-out';
  context.drawImage(inside, 0, 0);
  return canvas;
}

/** A shape and its copies shifted in eight directions: their union ('source-over') or what they share. */
function shifted(shape, distance, operation) {
  const canvas = sheet(shape.width, shape.height);
  const context = canvas.getContext('2d');
  context.drawImage(shape, 0, 0);
  context.globalCompositeOperation = operation;
  for (let step = 0; step < 8; step += 1) {
    const angle = (step * Math.PI) / 4;
    context.drawImage(shape, distance * Math.cos(angle), distance * Math.sin(angle));
  }
  return [canvas, context];
}

function sheet(width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

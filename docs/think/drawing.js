// The board in the colours of the desktop window: amber is unsure, blue is sure, a folded corner marks a change.

const css = (colour) => `rgb(${colour.join(" ")})`;
const mix = (a, b, share) => a.map((x, i) => Math.round(x + (b[i] - x) * share));
const [PAGE, CARD, GIVEN, OPEN] = [[246, 245, 241], [255, 255, 255], [203, 209, 220], [243, 244, 246]];
const [INK, MUTED, BLUE, AMBER] = [[27, 36, 52], [100, 108, 122], [36, 95, 166], [184, 110, 0]];
const [WRONG, TEAL] = [[168, 22, 98], [0, 104, 92]];
const STONE = mix(INK, MUTED, 0.25);
const RAMP = [[252, 224, 158], [236, 205, 150], [178, 190, 176], [104, 148, 186], [44, 104, 172]];

/** The background of a cell for a confidence in [0, 1]. */
export function confidenceColour(confidence) {
  const place = Math.min(1, Math.max(0, confidence)) * (RAMP.length - 1);
  const i = Math.min(Math.floor(place), RAMP.length - 2);
  return mix(RAMP[i], RAMP[i + 1], place - i);
}

const inkOn = (ground) => (0.299 * ground[0] + 0.587 * ground[1] + 0.114 * ground[2] > 140 ? INK : CARD);

/** Draw `view`: kind, rows, columns, puzzle, thought (or null), previous answer (or null), cursor, broken cells. */
export function draw(canvas, view) {
  const ratio = window.devicePixelRatio || 1;
  const side = canvas.clientWidth;
  const cell = side / view.columns;
  canvas.width = Math.round(side * ratio);
  canvas.height = Math.round(cell * view.rows * ratio);
  canvas.style.height = `${cell * view.rows}px`;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.fillStyle = css(view.kind === "maze" ? STONE : PAGE);
  pen.fillRect(0, 0, side, cell * view.rows);
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  view.puzzle.forEach((given, i) => {
    const box = { x: (i % view.columns) * cell, y: Math.floor(i / view.columns) * cell, side: cell };
    (view.kind === "maze" ? mazeCell : digitCell)(pen, box, given, view, i);
    if (view.broken?.has(i)) fill(pen, inset(box, cell * 0.16), WRONG, cell * 0.08);
    if (i === view.cursor) outline(pen, box, BLUE, Math.max(2, cell * 0.08));
  });
  if (view.kind !== "maze") {
    pen.fillStyle = css(INK);
    for (const k of [3, 6]) {
      pen.fillRect(k * cell - 1, 0, 2, side);
      pen.fillRect(0, k * cell - 1, side, 2);
    }
  }
}

function digitCell(pen, box, given, view, i) {
  const token = given || (view.thought?.answer[i] ?? 0);
  const ground = given ? GIVEN : view.thought ? confidenceColour(view.thought.confidence[i]) : OPEN;
  fill(pen, inset(box, 1), ground);
  if (token) {
    pen.fillStyle = css(given ? INK : inkOn(ground));
    pen.font = `${given ? "bold " : ""}${box.side * 0.62}px sans-serif`;
    pen.fillText(token, box.x + box.side / 2, box.y + box.side * 0.54);
  }
  if (!given && view.previous && view.previous[i] !== token) fold(pen, box, inkOn(ground));
}

function mazeCell(pen, box, given, view, i) {
  if (given === 0) return;
  const token = view.thought?.answer[i] ?? given;
  fill(pen, inset(box, 0.5), CARD);
  if (given === 1 && view.thought) {
    const sure = view.thought.confidence[i];
    const ground = token === 4 ? confidenceColour(sure)
      : mix(CARD, confidenceColour(0.5), Math.sqrt(Math.min(1, 2 * (1 - sure))) * 0.8);
    fill(pen, inset(box, 0.5), ground);
    if (view.previous && view.previous[i] !== token) fold(pen, box, inkOn(ground));
  }
  if (given > 1) {
    pen.fillStyle = css(given === 2 ? AMBER : TEAL);
    pen.beginPath();
    pen.arc(box.x + box.side / 2, box.y + box.side / 2, box.side * 0.48, 0, 7);
    pen.fill();
    pen.fillStyle = css(CARD);
    pen.font = `bold ${box.side * 0.62}px sans-serif`;
    pen.fillText(given === 2 ? "S" : "G", box.x + box.side / 2, box.y + box.side * 0.54);
  }
}

const inset = (box, margin) => ({ x: box.x + margin, y: box.y + margin, side: box.side - 2 * margin });

/** Fill a box, or only a bar at its foot. */
function fill(pen, box, colour, bar = 0) {
  pen.fillStyle = css(colour);
  pen.fillRect(box.x, bar ? box.y + box.side - bar : box.y, box.side, bar || box.side);
}

function outline(pen, box, colour, width) {
  pen.strokeStyle = css(colour);
  pen.lineWidth = width;
  pen.strokeRect(box.x + width / 2, box.y + width / 2, box.side - width, box.side - width);
}

function fold(pen, box, colour) {
  const size = Math.max(box.side * 0.2, 3);
  pen.fillStyle = css(colour);
  pen.beginPath();
  pen.moveTo(box.x + box.side - size - 1, box.y + 1);
  pen.lineTo(box.x + box.side - 1, box.y + 1);
  pen.lineTo(box.x + box.side - 1, box.y + size + 1);
  pen.fill();
}

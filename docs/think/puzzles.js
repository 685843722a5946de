// The two kinds of puzzle: how they are typed, read and checked. A puzzle is an array of tokens, row by row.

const WALL = 0, FREE = 1, START = 2, GOAL = 3, PATH = 4;

const TOKENS = { "#": WALL, S: START, G: GOAL };

const digits = (text) => Array.from(text, (c) => (c >= "1" && c <= "9" ? Number(c) : 0));

export const sudoku = {
  name: "Sudoku",
  agents: ["SudokuExtreme-v0"],
  help: "Click or tap a cell and type a digit, or tap again for the next digit. A pasted text has 81 characters, 0 or . for an empty cell.",
  blank: () => new Array(81).fill(0),

  /** The puzzle in a text, or an error in words. */
  parse(text) {
    const kept = Array.from(text).filter((c) => /[0-9._*?-]/.test(c)).join("");
    if (kept.length !== 81) return { error: `That text has ${kept.length} cells; a Sudoku has 81.` };
    return { puzzle: digits(kept), rows: 9, columns: 9 };
  },

  /** The cells that break a rule: a digit twice in a row, column or box. */
  broken(board) {
    const bad = new Set();
    for (let a = 0; a < 81; a++) {
      for (let b = a + 1; b < 81; b++) {
        const [ra, ca, rb, cb] = [Math.floor(a / 9), a % 9, Math.floor(b / 9), b % 9];
        const box = Math.floor(ra / 3) === Math.floor(rb / 3) && Math.floor(ca / 3) === Math.floor(cb / 3);
        if (board[a] && board[a] === board[b] && (ra === rb || ca === cb || box)) bad.add(a).add(b);
      }
    }
    return bad;
  },

  problem(puzzle) {
    return this.broken(puzzle).size ? "A digit appears twice in a row, column or box." : "";
  },

  solved(puzzle, answer) {
    return answer.every((v, i) => v > 0 && (!puzzle[i] || puzzle[i] === v)) && this.broken(answer).size === 0;
  },

  /** The puzzle after a key at a cell, or null. */
  type(puzzle, cell, key) {
    if (!/^[0-9. ]$/.test(key) && key !== "Backspace" && key !== "Delete") return null;
    return puzzle.with(cell, /^[1-9]$/.test(key) ? Number(key) : 0);
  },

  /** The puzzle after a click or a tap at a cell: the next digit. */
  tap: (puzzle, cell) => puzzle.with(cell, (puzzle[cell] + 1) % 10),

  say: (token) => (token ? String(token) : "empty"),
};

export const maze = {
  name: "maze",
  agents: ["MazeSmall-v0", "MazeHard-v0"],
  help: "Click, tap or press space to build or remove a wall. S and G move the start and the goal.",

  parse(text) {
    const lines = text.replace(/\r/g, "").split("\n").filter((line) => line.length > 2);
    const columns = Math.max(0, ...lines.map((line) => line.length));
    if (lines.length < 3 || columns > 40 || lines.length > 40) return { error: "A maze has 3 to 40 rows and columns." };
    const puzzle = lines.flatMap((line) => Array.from(line.padEnd(columns), (c) => TOKENS[c] ?? FREE));
    return { puzzle, rows: lines.length, columns };
  },

  neighbours(cell, rows, columns) {
    const [r, c] = [Math.floor(cell / columns), cell % columns];
    return [[r - 1, c], [r + 1, c], [r, c - 1], [r, c + 1]]
      .filter(([y, x]) => y >= 0 && y < rows && x >= 0 && x < columns).map(([y, x]) => y * columns + x);
  },

  /** The number of steps from start to goal; Infinity if there is no way. */
  distance(board, rows, columns, open = (token) => token !== WALL) {
    let line = [board.indexOf(START)];
    const seen = new Set(line);
    for (let steps = 0; line.length; steps++) {
      if (line.some((cell) => board[cell] === GOAL)) return steps;
      line = line.flatMap((cell) => this.neighbours(cell, rows, columns)).filter((cell) => {
        const fresh = !seen.has(cell) && open(board[cell]);
        seen.add(cell);
        return fresh;
      });
    }
    return Infinity;
  },

  problem(puzzle, rows, columns) {
    const count = (token) => puzzle.filter((v) => v === token).length;
    if (count(START) !== 1 || count(GOAL) !== 1) return "A maze has one start and one goal.";
    return this.distance(puzzle, rows, columns) < Infinity ? "" : "No path leads from start to goal.";
  },

  broken: () => new Set(),

  /** Whether the marked path is one of the shortest. */
  solved(puzzle, answer, rows, columns) {
    const kept = answer.every((v, i) => v === puzzle[i] || (puzzle[i] === FREE && v === PATH));
    const marked = answer.filter((v) => v === PATH).length;
    const way = this.distance(answer, rows, columns, (token) => token === PATH || token === GOAL);
    return kept && way === marked + 1 && way === this.distance(puzzle, rows, columns);
  },

  type(puzzle, cell, key) {
    const end = { s: START, g: GOAL }[key.toLowerCase()];
    if (end) return puzzle.map((v, i) => (i === cell ? end : v === end ? FREE : v));
    return key === " " || key === "#" ? this.tap(puzzle, cell) : null;
  },

  tap: (puzzle, cell) => (puzzle[cell] > FREE ? puzzle : puzzle.with(cell, puzzle[cell] === WALL ? FREE : WALL)),

  say: (token) => ["wall", "free", "start", "goal", "path"][token],
};

// The page that thinks: a board, buttons, and an agent that fills the board segment by segment.

import { confidenceColour, draw } from "./drawing.js";
import { Mind, offer } from "./mind.js";
import { maze, sudoku } from "./puzzles.js";

const PAGE = `
  <div class="think-examples" role="group" aria-label="examples"></div>
  <div class="think-both">
    <canvas class="think-board" tabindex="0" role="application" aria-describedby="think-help"></canvas>
    <div class="think-side">
      <p class="think-state" role="status" aria-live="polite"></p>
      <label class="think-meter">is it right? <span class="think-belief"></span>
        <meter min="0" max="1" low="0.5" high="0.5" optimum="1" value="0"></meter></label>
      <div class="think-key" aria-hidden="true"><i></i><span>unsure</span><span>sure</span>
        <span class="think-marks">dark corner: changed now · red bar: breaks a rule</span></div>
      <div role="group" aria-label="thinking">
        <button data-do="toggle" class="think-main">think</button>
        <button data-do="step">step</button>
        <button data-do="again">start over</button>
      </div>
      <label>speed <input class="think-speed" type="range" min="0" max="4" value="2" step="1"></label>
      <p id="think-help" class="think-help"></p>
      <label>paste a puzzle <textarea class="think-text" rows="3" spellcheck="false"></textarea></label>
      <div role="group" aria-label="editing"><button data-do="read">read the text</button>
        <button data-do="clear">empty board</button></div>
      <p class="think-download"></p>
    </div>
  </div>`;
const WAITS = [1500, 700, 250, 60, 0]; // milliseconds between segments, by speed

/** Put the page into `root` and give back its handle, which tests use. */
export async function open(root) {
  root.innerHTML = PAGE;
  const page = new Page(root);
  await page.start();
  return page;
}

class Page {
  #minds = {};
  #run = 0; // changes whenever the running thought must stop

  constructor(root) {
    this.find = (name) => root.querySelector(name);
    this.canvas = this.find(".think-board");
    for (const button of root.querySelectorAll("[data-do]")) {
      button.addEventListener("click", () => this[button.dataset.do]());
    }
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    this.canvas.addEventListener("pointerdown", (event) => this.#tap(event));
    new ResizeObserver(() => this.show()).observe(this.canvas);
    const ramp = [0, 0.25, 0.5, 0.75, 1].map((c) => `rgb(${confidenceColour(c).join(" ")})`);
    this.find(".think-key i").style.background = `linear-gradient(to right, ${ramp.join(",")})`;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.find(".think-speed").value = 0;
  }

  async start() {
    this.offer = await offer();
    if (!this.offer) {
      this.find(".think-side").textContent = "This copy of the site has no agents: run python docs/_site/think.py before the build.";
      return;
    }
    for (const [name, text] of Object.entries(this.offer.examples)) {
      const button = document.createElement("button");
      button.textContent = name;
      button.addEventListener("click", () => this.#offered(text));
      this.find(".think-examples").append(button);
    }
    this.#offered(Object.values(this.offer.examples)[0]);
  }

  #offered(text) {
    const kind = text.includes("\n") ? maze : sudoku;
    this.put(kind, kind.parse(text));
  }

  /** Begin with a puzzle: what `parse` gives. */
  put(kind, { puzzle, rows, columns }) {
    Object.assign(this, { kind, puzzle, rows, columns, cursor: 0 });
    this.find(".think-help").textContent = `${kind.help} Arrows move.`;
    this.#forget();
  }

  /** The agent for this board: for mazes the one that learned on boards nearest in size. */
  get facts() {
    const name = this.kind.agents.at(this.kind === maze && this.rows * this.columns > 256 ? -1 : 0);
    return { name, ...this.offer.agents[name] };
  }

  /** The main button: think, or pause. It keeps the focus of the keyboard. */
  toggle() {
    if (this.running) this.pause();
    else this.think();
  }

  /** Think until the agent halts; after a halt, from the start. */
  async think() {
    if (this.done) this.#forget();
    const run = ++this.#run;
    this.#running(true);
    while (run === this.#run && (await this.#segment(run))) {
      await new Promise((done) => setTimeout(done, WAITS[Number(this.find(".think-speed").value)]));
    }
    if (run === this.#run) this.#running(false);
  }

  async step() {
    this.pause();
    await this.#segment(this.#run);
  }

  pause() {
    this.#run += 1;
    this.#running(false);
  }

  again() {
    this.#forget();
  }

  read() {
    const text = this.find(".think-text").value;
    const kind = /[#SG]/.test(text) ? maze : sudoku;
    const read = kind.parse(text);
    if (read.error) this.#say(read.error);
    else this.put(kind, read);
  }

  clear() {
    const blank = this.kind === maze
      ? this.puzzle.map((token) => (token === 0 ? 1 : token))
      : sudoku.blank();
    this.put(this.kind, { puzzle: blank, rows: this.rows, columns: this.columns });
  }

  /** One segment; gives whether the agent wants to go on. */
  async #segment(run) {
    const problem = this.kind.problem(this.puzzle, this.rows, this.columns);
    if (problem) this.#say(problem);
    if (problem || this.done) return false;
    const facts = this.facts;
    if (!this.#minds[facts.name]) this.#say("Downloading the agent ...");
    const mind = await (this.#minds[facts.name] ??= Mind.load(facts));
    if (run !== this.#run) return false;
    if (!this.thought) mind.begin(this.puzzle, this.rows, this.columns);
    const thought = await mind.step();
    if (run !== this.#run && this.fresh) return false; // the puzzle has changed meanwhile
    this.fresh = false;
    this.previous = this.thought?.answer ?? null;
    this.thought = thought;
    this.times.push(thought.milliseconds);
    this.done = thought.halt || thought.last;
    this.#tell();
    this.show();
    return !this.done;
  }

  #tell() {
    const { segment, halt, last, belief } = this.thought;
    const right = this.kind.solved(this.puzzle, this.thought.answer, this.rows, this.columns);
    const verdict = right ? "The answer is right." : this.done ? "The answer is not right." : "";
    const halting = halt ? `It halts after ${segment} segment${segment > 1 ? "s" : ""}.`
      : last ? `It stops at its limit of ${segment} segments.` : `Segment ${segment}: it continues.`;
    this.#say(`${halting} ${verdict}`);
    this.find(".think-belief").textContent = `The agent says ${Math.round(100 * belief)} %.`;
    this.find("meter").value = belief;
  }

  #forget() {
    this.#run += 1;
    Object.assign(this, { thought: null, previous: null, done: false, fresh: true, times: [] });
    this.#running(false);
    this.find(".think-belief").textContent = "";
    this.find("meter").value = 0;
    const facts = this.facts;
    this.#say(`Press think. The agent for ${facts.name} has ${facts.parameters.toLocaleString("en")} parameters.`);
    const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
    this.find(".think-download").textContent =
      `The first thought downloads the ONNX runtime (${megabytes(this.offer.runtime)}, less if the host compresses it) and ` +
      `this agent (${megabytes(facts.bytes)}), both from this site. Your puzzle stays in your browser.`;
    this.show();
  }

  #running(on) {
    this.running = on;
    this.find("[data-do=toggle]").textContent = on ? "pause" : "think";
  }

  #say(text) {
    this.find(".think-state").textContent = text;
  }

  #key(event) {
    const moves = { ArrowUp: -this.columns, ArrowDown: this.columns, ArrowLeft: -1, ArrowRight: 1 };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) {
      const to = this.cursor + moves[event.key];
      const wraps = Math.abs(moves[event.key]) === 1 && Math.floor(to / this.columns) !== Math.floor(this.cursor / this.columns);
      if (to >= 0 && to < this.puzzle.length && !wraps) this.cursor = to;
      this.show();
    } else {
      const puzzle = this.kind.type(this.puzzle, this.cursor, event.key);
      if (!puzzle) return;
      this.#edit(puzzle);
    }
    event.preventDefault();
  }

  #tap(event) {
    const side = this.canvas.clientWidth / this.columns;
    const [column, row] = [event.offsetX, event.offsetY].map((at) => Math.floor(at / side));
    const cell = Math.min(this.puzzle.length - 1, row * this.columns + column);
    const again = this.kind === maze || cell === this.cursor; // a first tap at a digit only moves the cursor
    this.cursor = cell;
    if (again) this.#edit(this.kind.tap(this.puzzle, cell));
    else this.show();
  }

  #edit(puzzle) {
    this.puzzle = puzzle;
    this.#forget();
  }

  show() {
    if (!this.puzzle) return;
    const { kind, rows, columns, puzzle, thought, previous, cursor } = this;
    const broken = this.kind.broken(thought ? thought.answer : puzzle);
    draw(this.canvas, { kind: kind.name, rows, columns, puzzle, thought, previous, cursor, broken });
    const at = thought?.answer[cursor] ?? puzzle[cursor];
    this.canvas.setAttribute("aria-label",
      `${kind.name} board; row ${Math.floor(cursor / columns) + 1}, column ${(cursor % columns) + 1}: ${kind.say(at)}`);
  }
}

const root = document.getElementById("think");
if (root) window.thinking = open(root);

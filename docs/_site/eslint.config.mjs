// The linter of the page that thinks: `npx eslint@9.39.5 --config docs/_site/eslint.config.mjs docs/think`.

const BROWSER = ["document", "window", "fetch", "URL", "performance", "setTimeout", "matchMedia", "ResizeObserver"];
const RULES = [
  "array-callback-return", "constructor-super", "eqeqeq", "for-direction", "getter-return", "no-case-declarations",
  "no-cond-assign", "no-const-assign", "no-constant-binary-expression", "no-constant-condition", "no-debugger",
  "no-dupe-class-members", "no-dupe-else-if", "no-dupe-keys", "no-duplicate-case", "no-empty", "no-eval",
  "no-fallthrough", "no-func-assign", "no-import-assign", "no-invalid-regexp", "no-loss-of-precision", "no-redeclare",
  "no-self-assign", "no-self-compare", "no-shadow", "no-sparse-arrays", "no-undef", "no-unreachable",
  "no-unsafe-finally", "no-unsafe-negation", "no-unsafe-optional-chaining", "no-unused-private-class-members",
  "no-unused-vars", "no-useless-assignment", "no-useless-escape", "no-var", "prefer-const", "use-isnan",
  "valid-typeof",
];

export default [
  {
    files: ["**/*.js"],
    languageOptions: { globals: Object.fromEntries(BROWSER.map((name) => [name, "readonly"])) },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: Object.fromEntries(RULES.map((rule) => [rule, "error"])),
  },
];

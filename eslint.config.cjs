// ESLint's rules for js/. CommonJS, because only `require` looks in NODE_PATH, where `python dev.py lint` keeps its
// packages: outside this folder, which users have in custom_nodes.

const js = require("@eslint/js");
const globals = require("globals");

module.exports = [
    {
        files: ["js/**/*.js", "js/**/*.mjs"],
        languageOptions: { ecmaVersion: 2023, sourceType: "module", globals: globals.browser },
        linterOptions: { reportUnusedDisableDirectives: "error" },
        rules: {
            ...js.configs.recommended.rules,
            eqeqeq: ["error", "always", { null: "ignore" }], // `== null` means null or undefined
            "no-var": "error",
            "prefer-const": ["error", { destructuring: "all" }],
            "no-unused-vars": ["error", { args: "after-used" }],
            "object-shorthand": "error",
            "prefer-template": "error",
            "no-throw-literal": "error",
            "no-shadow-restricted-names": "error",
            "no-implicit-coercion": "error",
            "no-self-compare": "error",
            "no-use-before-define": ["error", { functions: false, classes: false, variables: false }],
            curly: ["error", "multi-line"],
        },
    },
];

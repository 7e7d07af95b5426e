export default { test: { globalSetup: '../global-setup.js', maxWorkers: 2 } }

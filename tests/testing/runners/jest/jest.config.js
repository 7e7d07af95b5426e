export default { transform: {}, globalSetup: '../global-setup.js', maxWorkers: 2 }

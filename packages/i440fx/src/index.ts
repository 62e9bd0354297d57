export { I440FX, I440fx, I440fxReg } from './i440fx.ts';
export { ISA_IRQS, PAM_WINDOWS, PIRQ_LINES } from './limits.ts';
export { I440FX_PCIHOST, I440fxPciHost } from './pci-host.ts';
export { PIIX3, Piix3, PIRQRC } from './piix3.ts';
export { PORT92, Port92 } from './port92.ts';

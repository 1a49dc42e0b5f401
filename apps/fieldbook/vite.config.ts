import react from '@vitejs/plugin-react'
import { defaultClientConditions, defineConfig } from 'vite'
import { VitePWA } from 'vite-plugin-pwa'

/** What must reach the link even when the service worker holds the page: never a cached answer, never the page instead of an answer. */
const LINK_PATHS = /^\/(v1|__link|\.well-known)(\/|$)/

export default defineConfig({
  resolve: { conditions: ['nightlatch-source', ...defaultClientConditions] },
  build: { outDir: 'dist/pwa', chunkSizeWarningLimit: 800 },
  plugins: [
    react(),
    VitePWA({
      registerType: 'autoUpdate',
      injectRegister: 'script-defer',
      includeAssets: ['icon.svg', 'icon-192.png', 'icon-512.png'],
      manifest: {
        name: 'Fieldbook',
        short_name: 'Fieldbook',
        description: 'Field observations at a station with a bad satellite link',
        display: 'standalone',
        start_url: '/',
        background_color: '#f3f6f7',
        theme_color: '#0d4a5a',
        icons: [
          { src: '/icon-192.png', sizes: '192x192', type: 'image/png' },
          { src: '/icon-512.png', sizes: '512x512', type: 'image/png' },
          { src: '/icon.svg', sizes: 'any', type: 'image/svg+xml' },
        ],
      },
      workbox: {
        clientsClaim: true,
        skipWaiting: true,
        cleanupOutdatedCaches: true,
        globPatterns: ['**/*.{html,js,css,svg,png}'],
        navigateFallback: '/index.html',
        navigateFallbackDenylist: [LINK_PATHS],
      },
    }),
  ],
})

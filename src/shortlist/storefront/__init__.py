"""What a person sees: the demo storefront at `/`, the API reference at `/docs` and the tracker `/client.js`.

Plain files without a build step, shipped in the package and read once. The gateway serves every path of
`assets()` as it stands, with the asset's own headers.
"""

from shortlist.storefront.assets import Asset, assets

__all__ = ["Asset", "assets"]

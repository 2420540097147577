import Foundation

extension Quantity {
    /// The quantity of an observable, with its sign in gnuplot's markup.
    public init(_ observable: Observable) {
        self.init(
            observable.name, symbol: Self.symbol(observable.name), unit: observable.unit == "1" ? "" : observable.unit,
            isInteger: observable.isInteger)
    }

    private static let axes = [
        ("_onepass_kt", "one-pass k_T"), ("_onepass_wta", "one-pass WTA"), ("_kt", "k_T"), ("_wta", "WTA"),
        ("_all", "all"),
    ]

    private static func symbol(_ name: String) -> String {
        var base = name, note = ""
        if let (suffix, text) = axes.first(where: { name.hasSuffix($0.0) }) {
            (base, note) = (String(name.dropLast(suffix.count)), " (\(text))")
        }
        let signs = [
            "jet_pt": "jet {/:Italic p}_T", "jet_eta": "jet {/:Italic η}", "jet_phi": "jet {/:Italic φ}",
            "jet_mass": "jet mass", "multiplicity": "number of constituents", "e2": "{/:Italic e}_2",
            "e3": "{/:Italic e}_3", "c2": "{/:Italic C}_2", "d2": "{/:Italic D}_2", "sd_mass": "soft-drop mass",
            "sd_pt": "soft-drop {/:Italic p}_T", "sd_zg": "{/:Italic z}_g", "sd_rg": "{/:Italic R}_g",
            "sd_multiplicity": "constituents after soft drop",
        ]
        if let sign = signs[base] { return sign + note }
        if base.hasPrefix("tau") { return "{/:Italic τ}_{\(base.dropFirst(3))}" + note }
        return FigureText(
            name.replacingOccurrences(of: "n_", with: "number of ").replacingOccurrences(of: "_", with: " ")
        )
        .markup
    }
}

import Foundation

extension DatasetComparison {
    /// All figures: constituents and jets (as in figure 1 of "Aspen Open Jets"), where constituents are (figure 2), and each observable.
    public func figures() throws -> [Figure] {
        var figures = [try overview()]
        if reference.table.constituents != nil {
            figures += try [constituentsByType(), occupancy()]
        }
        return try figures + observables.filter { !undefined.contains($0.name) }.map(figure)
    }

    private var ratio: RatioPanel? { others.isEmpty ? nil : RatioPanel() }

    private func panel(_ observable: Observable, title: FigureText? = nil) throws -> FigurePanel {
        try .distribution(
            of: Quantity(observable), reference: reference.entries(of: observable),
            others: others.map { $0.entries(of: observable) }, edges: edges(of: observable), ratio: ratio,
            title: title)
    }

    /// Bins that show nearly all entries of all datasets.
    private func edges(of observable: Observable) -> [Double] {
        FigurePanel.usualEdges(of: Quantity(observable), all.flatMap { $0.entries(of: observable).values })
    }

    private func figure(of observable: Observable) throws -> Figure {
        Figure(
            "observable-\(observable.name)",
            caption: "\(observable.name): \(observable.meaning). " + caption(of: observable),
            panel: try panel(observable))
    }

    private func caption(of observable: Observable) -> String {
        let counts = all.map { jets in
            let entries = jets.table[observable.name]?.values ?? []
            let lost = entries.count { $0.isNaN }
            return "\(jets.name) \(entries.count - lost)" + (lost > 0 ? " (\(lost) not defined)" : "")
        }
        return "Jets: " + counts.joined(separator: ", ") + "."
    }

    // MARK: constituents

    private static let quantities: [(ConstituentTable.Quantity, Quantity)] = [
        (.pt, Quantity("pt", symbol: "constituent {/:Italic p}_T", unit: "GeV")),
        (.etaRelative, Quantity("etarel", symbol: "{/:Italic η} - {/:Italic η}_{jet}")),
        (.phiRelative, Quantity("phirel", symbol: "{/:Italic φ} - {/:Italic φ}_{jet}", unit: "rad")),
        (.eta, Quantity("eta", symbol: "constituent {/:Italic η}")),
        (.phi, Quantity("phi", symbol: "constituent {/:Italic φ}", unit: "rad")),
    ]

    /// Constituents, jets, and what jets are made of.
    private func overview() throws -> Figure {
        var panels: [FigurePanel] = []
        if reference.table.constituents != nil {
            for (quantity, description) in Self.quantities {
                panels.append(try constituents(quantity, description, of: nil))
            }
        }
        let shown = ["jet_pt", "jet_mass", "multiplicity", "tau21", "tau32"].compactMap { name in
            observables.first { $0.name == name && !undefined.contains(name) }
        }
        panels += try shown.map { try panel($0) }
        if let composition { panels.append(composition) }
        let rows = stride(from: 0, to: panels.count, by: 3).map { Array(panels[$0..<min(panels.count, $0 + 3)]) }
        return Figure(
            "overview",
            caption: "Constituents and jets. "
                + all.map { "\($0.name): \($0.table.rows) jets" }
                .joined(separator: ", ") + ".", rows: rows)
    }

    private func constituents(
        _ quantity: ConstituentTable.Quantity, _ description: Quantity, of type: ConstituentType?,
        title: FigureText? = nil
    ) throws -> FigurePanel {
        let entries = all.map { NamedEntries($0.name, $0.table.constituents?.values(quantity, of: type) ?? []) }
        let isMomentum = quantity == .pt
        var edges: [Double]
        switch quantity {
        case .pt:
            // Even steps of the logarithm, in GeV.
            let most = max(10, entries.flatMap(\.values).max() ?? 10)
            edges = (0...50).map { 0.1 * pow(most / 0.1, Double($0) / 50) }
        case .etaRelative, .phiRelative: edges = Histogram.edges(-0.8...0.8, bins: 64)
        case .eta: edges = Histogram.edges(-3...3, bins: 120)
        case .phi: edges = Histogram.edges(-Double.pi...Double.pi, bins: 126)
        }
        if edges.count < 2 { edges = [0, 1] }
        var panel = try FigurePanel.distribution(
            of: description, reference: entries[0], others: Array(entries.dropFirst()), edges: edges, ratio: ratio,
            isLogarithmic: isMomentum || quantity == .etaRelative || quantity == .phiRelative, title: title)
        panel.x.isLogarithmic = isMomentum
        return panel
    }

    /// pt of constituents, a panel for each type that there is.
    private func constituentsByType() throws -> Figure {
        let types = ConstituentType.allCases.filter { type in
            all.contains { $0.table.constituents?.types.contains(type) ?? false }
        }
        let panels = try types.map { type in
            try constituents(.pt, Self.quantities[0].1, of: type, title: FigureText(type.words))
        }
        let rows = stride(from: 0, to: panels.count, by: 3).map { Array(panels[$0..<min(panels.count, $0 + 3)]) }
        return Figure("constituents-by-type", caption: "Constituents' transverse momentum by type.", rows: rows)
    }

    /// The mean number of constituents of each type, with one standard deviation of the jets as a band.
    private var composition: FigurePanel? {
        let types = ConstituentType.allCases.filter { $0 != .other }
        let known = all.filter { jets in
            jets.table.constituents?.types.contains { $0 != .other } ?? false
        }
        guard !known.isEmpty else { return nil }
        let layers = known.enumerated().map { number, jets -> FigureLayer in
            // Beside each other, so that bars do not hide each other.
            let shift = (Double(number) - Double(known.count - 1) / 2) * 0.5 / Double(known.count)
            let points = types.enumerated().map { place, type -> FigurePoint in
                let counts = (jets.table.constituents?.count(of: type) ?? []).map(Double.init)
                let jets = Double(max(1, counts.count)), mean = counts.reduce(0, +) / jets
                let variance = counts.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / jets
                let spread = variance.squareRoot()
                return FigurePoint(Double(place) + shift, mean, low: max(0, mean - spread), high: mean + spread)
            }
            let isReference = jets.name == reference.name
            let color =
                isReference
                ? FigureColor.grey
                : others.firstIndex { $0.name == jets.name }.map(FigureColor.number)
                    ?? .black
            return .points(
                points, FigureStyle(FigureText(jets.name), color: color, line: .none, hasMarks: true))
        }
        var x = Axis("constituents", range: -0.5...Double(types.count) - 0.5)
        x.categories = types.map(\.sign)
        return FigurePanel(x: x, y: Axis("mean number in a jet"), layers: layers)
    }

    /// Where constituents are in the detector, a map for each dataset.
    private func occupancy() throws -> Figure {
        let panels = try all.map { jets -> FigurePanel in
            var map = try HeatMap(x: -3...3, y: -Double.pi...Double.pi, bins: (120, 126))
            if let constituents = jets.table.constituents {
                map.add(constituents.values(.eta), constituents.values(.phi))
            }
            return FigurePanel(
                FigureText(jets.name), x: Axis(FigureText(markup: "{/:Italic η}"), range: map.x),
                y: Axis(FigureText(markup: "{/:Italic φ}"), unit: "rad", range: map.y),
                layers: [.heatMap(map, label: "constituents", isLogarithmic: true)], legend: nil)
        }
        let rows = stride(from: 0, to: panels.count, by: 2).map { Array(panels[$0..<min(panels.count, $0 + 2)]) }
        var figure = Figure("occupancy", caption: "Constituents in pseudorapidity and azimuth.", rows: rows)
        figure.panelSize = (480, 400)
        return figure
    }
}

extension ConstituentType {
    /// Its name for people: `charged hadron`.
    var words: String { name.replacingOccurrences(of: "_", with: " ") }

    /// Its sign on axes.
    var sign: FigureText {
        switch self {
        case .chargedHadron: FigureText(markup: "{/:Italic h}^{±}")
        case .neutralHadron: FigureText(markup: "{/:Italic h}^{0}")
        case .photon: FigureText(markup: "{/:Italic γ}")
        case .electron: FigureText(markup: "{/:Italic e}")
        case .muon: FigureText(markup: "{/:Italic μ}")
        case .other: "other"
        }
    }
}

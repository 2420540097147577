/// A point with an uncertainty.
public struct FigurePoint: Sendable {
    public var x: Double
    public var y: Double
    /// The lower end of its uncertainty.
    public var low: Double
    /// The upper end.
    public var high: Double

    /// A point with an error on both sides; none: no uncertainty.
    public init(_ x: Double, _ y: Double, error: Double = 0) {
        self.init(x, y, low: y - error, high: y + error)
    }

    /// A point with the ends of its uncertainty.
    public init(_ x: Double, _ y: Double, low: Double, high: Double) {
        (self.x, self.y, self.low, self.high) = (x, y, low, high)
    }
}

/// Something that is drawn into a panel, over what was drawn before.
public enum FigureLayer: Sendable {
    /// A density in steps, filled or as a line.
    case histogram(Histogram, FigureStyle)
    /// Points, joined by the style's line, with their uncertainties as bars or as a band.
    case points([FigurePoint], FigureStyle)
    /// A line through points, such as a fitted law, without marks.
    case curve([FigurePoint], FigureStyle)
    /// A band over the whole width, such as a floor.
    case band(ClosedRange<Double>, FigureStyle)
    /// Counts in two dimensions, and what the colours mean. Logarithmic where there are large differences.
    case heatMap(HeatMap, label: FigureText, isLogarithmic: Bool)
}

/// Where the legend of a panel is.
public enum LegendPlace: String, Sendable {
    case topRight = "top right"
    case topLeft = "top left"
    case bottomRight = "bottom right"
    case bottomLeft = "bottom left"
}

/// Ratios to a panel's first histogram, below it on the same axis.
public struct RatioPanel: Sendable {
    /// What the vertical axis says.
    public var label: FigureText
    /// What it shows; ratios outside are cut off.
    public var range: ClosedRange<Double>

    /// A ratio panel from 0.5 to 1.5.
    public init(_ label: FigureText = "ratio", range: ClosedRange<Double> = 0.5...1.5) {
        self.label = label
        self.range = range
    }
}

/// One pair of axes with what is drawn on it.
public struct FigurePanel: Sendable {
    /// A line above it.
    public var title: FigureText?
    public var x: Axis
    public var y: Axis
    /// What is drawn, the lowest first.
    public var layers: [FigureLayer]
    /// Ratios to the first histogram; nil: none.
    public var ratio: RatioPanel?
    /// Where the legend is; nil: there is none.
    public var legend: LegendPlace?

    /// A panel.
    public init(
        _ title: FigureText? = nil, x: Axis, y: Axis, layers: [FigureLayer], ratio: RatioPanel? = nil,
        legend: LegendPlace? = .topRight
    ) {
        self.title = title
        (self.x, self.y, self.layers, self.ratio, self.legend) = (x, y, layers, ratio, legend)
    }
}

/// A figure: panels in rows and columns.
public struct Figure: Sendable {
    /// Its name, which its files have: letters, digits, `-`, `_` and `.`.
    public var name: String
    /// What it shows, for the page that it is on.
    public var caption: String
    /// Rows of panels; nil leaves a place empty.
    public var rows: [[FigurePanel?]]
    /// Width and height of one panel in pixels (1/96 inch); nil: 470 by 360, higher with ratios, 320 by 250 in a grid.
    public var panelSize: (width: Double, height: Double)?

    /// A figure of rows of panels.
    public init(_ name: String, caption: String = "", rows: [[FigurePanel?]]) {
        self.name = name
        self.caption = caption
        self.rows = rows
    }

    /// A figure of one panel.
    public init(_ name: String, caption: String = "", panel: FigurePanel) {
        self.init(name, caption: caption, rows: [[panel]])
    }

    var isGrid: Bool { rows.count > 1 || (rows.first?.count ?? 0) > 2 }
    var columns: Int { rows.map(\.count).max() ?? 0 }

    /// The size of a panel with its labels.
    var cell: (width: Double, height: Double) {
        if let panelSize { return panelSize }
        let hasRatio = rows.joined().contains { $0?.ratio != nil }
        return isGrid ? (330, hasRatio ? 310 : 250) : (470, hasRatio ? 450 : 360)
    }
}

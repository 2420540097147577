/// A colour that people with any colour vision tell from the others: the palette of Okabe and Ito (2008), and greys.
public struct FigureColor: Sendable, Hashable {
    /// Red, green and blue in hexadecimal digits: `#0072B2`.
    public let hex: String

    private init(_ hex: String) { self.hex = hex }

    public static let blue = FigureColor("#0072B2")
    public static let vermillion = FigureColor("#D55E00")
    public static let green = FigureColor("#009E73")
    public static let orange = FigureColor("#E69F00")
    public static let sky = FigureColor("#56B4E9")
    public static let purple = FigureColor("#CC79A7")
    public static let black = FigureColor("#000000")
    /// For a reference that is filled, and for what is no data.
    public static let grey = FigureColor("#888888")

    /// The colours of things without a colour of their own, most different first.
    public static let palette: [FigureColor] = [.blue, .vermillion, .green, .orange, .purple, .sky, .black]

    /// The n-th colour of the palette, over and over.
    public static func number(_ index: Int) -> FigureColor { palette[abs(index % palette.count)] }

    /// Colours for something that grows, from light to dark: orange by way of green and blue to dark violet.
    public static func sequence(_ count: Int) -> [FigureColor] {
        let stops: [(Double, Double, Double)] = [(230, 159, 0), (0, 158, 115), (0, 114, 178), (40, 20, 90)]
        return (0..<max(0, count)).map { index in
            let place = count > 1 ? Double(index) / Double(count - 1) * Double(stops.count - 1) : 1
            let low = min(stops.count - 2, Int(place)), rest = place - Double(low)
            let (a, b) = (stops[low], stops[low + 1])
            let parts = [a.0 + (b.0 - a.0) * rest, a.1 + (b.1 - a.1) * rest, a.2 + (b.2 - a.2) * rest]
            return FigureColor("#" + parts.map { hexadecimal(Int($0.rounded())) }.joined())
        }
    }

    /// The colour over white, of which so much is left.
    func lightened(_ share: Double) -> String {
        let number = Int(hex.dropFirst(), radix: 16) ?? 0
        let parts = [number >> 16, number >> 8, number].map { 255 - (255 - Double($0 & 255)) * share }
        return "#" + parts.map { Self.hexadecimal(Int($0.rounded())) }.joined()
    }

    private static func hexadecimal(_ byte: Int) -> String {
        let digits = String(min(255, max(0, byte)), radix: 16, uppercase: true)
        return digits.count == 1 ? "0" + digits : digits
    }
}

/// How a line is drawn.
public enum FigureLine: Sendable, Equatable {
    case none, solid, dashed, dotted

    /// gnuplot's pattern.
    var pattern: String {
        switch self {
        case .none, .solid: "dt solid"
        case .dashed: "dt (8,5)"
        case .dotted: "dt (2,3)"
        }
    }
}

/// How something is drawn, and its name in the legend.
public struct FigureStyle: Sendable {
    /// Its name in the legend; nil: it is not in it.
    public var name: FigureText?
    /// Its colour.
    public var color: FigureColor
    /// Its line.
    public var line: FigureLine
    /// Whether a histogram is filled in a light shade, as references are.
    public var isFilled: Bool
    /// Whether points have a mark.
    public var hasMarks: Bool
    /// Whether uncertainties are a shaded band.
    public var hasBand: Bool

    /// A style.
    public init(
        _ name: FigureText? = nil, color: FigureColor, line: FigureLine = .solid, isFilled: Bool = false,
        hasMarks: Bool = false, hasBand: Bool = false
    ) {
        self.name = name
        self.color = color
        self.line = line
        self.isFilled = isFilled
        self.hasMarks = hasMarks
        self.hasBand = hasBand
    }

    /// A filled grey reference.
    public static func reference(_ name: FigureText) -> FigureStyle {
        FigureStyle(name, color: .grey, isFilled: true)
    }
}

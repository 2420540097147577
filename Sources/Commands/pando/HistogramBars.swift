import Foundation
import Shards
import Terminal

/// A histogram in one line of text.
enum HistogramBars {
    /// Blocks of eighths where the terminal shows them; files always get them.
    private static let blocks = Array(Glyphs.isUnicode ? "▁▂▃▄▅▆▇█" : "_.:-=+*#")

    /// One character a bin: a space for none, then eighths of the fullest bin.
    static func text(_ histogram: Histogram?) -> String {
        guard let histogram, let most = histogram.counts.max(), most > 0 else { return "" }
        let bars = histogram.counts.map { count -> Character in
            // Rounded up: one value in a million is still seen.
            count <= 0 ? " " : blocks[min(7, max(0, (8 * count + most - 1) / most - 1))]
        }
        return String(bars) + (histogram.isLogarithmic ? " log" : "")
    }
}

/// Characters beyond ASCII, or what stands for them on terminals that do not know them.
enum Glyphs {
    /// Whether they can be shown: files and pipes are UTF-8, a terminal is what its locale says.
    static let isUnicode: Bool = {
        guard Console.outputIsTerminal else { return true }
        let environment = ProcessInfo.processInfo.environment
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
        return ["utf8", "utf-8"].contains { locale.lowercased().hasSuffix($0) }
    }()

    static let plusMinus = isUnicode ? "±" : "+-"
    static let ellipsis = isUnicode ? "…" : "..."
    static let gamma = isUnicode ? "γ" : "gamma"
    static let mu = isUnicode ? "μ" : "mu"
    static let none = isUnicode ? "–" : "-"
}

// The default theme with the system's fonts, and sizes of its own.
import DefaultTheme from "vitepress/theme-without-fonts";
import "./style.css";

export default DefaultTheme;
